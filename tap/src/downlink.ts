import { BugError } from '@kith/base';
import { type RingMemory, RingProducer } from '@kith/ring';
import type { Counters, MainCounter } from './counters.ts';

interface Command {
  readonly tag: number;
  readonly payload: Uint8Array;
}

/**
 * Commands that may wait for room in a full ring. Each link needs about four, so that this is a thousand links at once while
 * the ingress worker stands still: beyond it something is broken.
 */
const MAX_WAITING = 4096;

/**
 * The main thread's end of the downlink ring. A frame that finds no room is dropped and counted; a command never is: it waits,
 * and the frames behind it are dropped until it is in, so that the order holds.
 */
export class Downlink {
  readonly #ring: RingProducer;
  readonly #counters: Counters<MainCounter>;
  readonly #maxFrame: number;
  readonly #wake: () => void;
  #waiting: Command[] = [];
  #isRetrying = false;
  #isStopped = false;

  constructor(memory: RingMemory, counters: Counters<MainCounter>, maxFrame: number, wake: () => void) {
    this.#ring = new RingProducer(memory);
    this.#counters = counters;
    this.#maxFrame = maxFrame;
    this.#wake = wake;
  }

  /** False when the frame was dropped. */
  frame(link: number, data: Uint8Array, offset: number, length: number): boolean {
    if (length > this.#maxFrame) {
      this.#counters.add('dropped_oversize');
      return false;
    }
    if (this.#isStopped || this.#waiting.length > 0 || !this.#ring.push(data, offset, length, link)) {
      this.#counters.add('dropped_downlink_full');
      return false;
    }
    this.#publish();
    return true;
  }

  /** Throws BugError when too many commands wait. */
  command(tag: number, payload: Uint8Array): void {
    if (this.#isStopped) return;
    if (this.#waiting.length >= MAX_WAITING) {
      throw new BugError(
        'TAP_COMMANDS_STALLED',
        `the ingress worker has left ${MAX_WAITING} commands unread`,
      );
    }
    this.#waiting.push({ tag, payload });
    if (!this.#isRetrying) this.#flushCommands();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
  }

  readonly #flushCommands = (): void => {
    this.#isRetrying = false;
    let done = 0;
    for (const { tag, payload } of this.#waiting) {
      if (!this.#ring.push(payload, 0, payload.length, tag)) break;
      done++;
    }
    this.#waiting.splice(0, done);
    this.#publish();
    if (this.#waiting.length === 0) return;
    // The ring is full of frames, and the worker is busy emptying it: a few turns of the event loop later there is room.
    this.#isRetrying = true;
    setImmediate(this.#flushCommands);
  };

  #publish(): void {
    if (this.#ring.publish()) this.#wake();
  }
}
