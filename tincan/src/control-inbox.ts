import { describeError, type Logger, PeerError } from '@kith/base';
import { type ControlMessage, decodeControl, type Uid } from '@kith/protocol';
import { ControlRate } from './control-rate.ts';

/** Reads what a peer says over the control channel. What cannot be read, or breaks the protocol, changes nothing but a counter. */
export class ControlInbox {
  readonly #peer: Uid;
  readonly #log: Logger;
  readonly #rate = new ControlRate();
  malformed = 0;

  constructor(peer: Uid, log: Logger) {
    this.#peer = peer;
    this.#log = log;
  }

  /** The message of a text; undefined when it is none, `flood` when there were too many. */
  read(text: string, now: number): ControlMessage | 'flood' | undefined {
    if (this.#rate.isFlood(now)) return 'flood';
    let message: ControlMessage | undefined;
    this.take(() => {
      message = decodeControl(text);
    });
    return message;
  }

  /** Carries out what a message asks for. */
  take(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.malformed++;
      this.#log.debug({ peer: this.#peer }, describeError(error));
    }
  }
}
