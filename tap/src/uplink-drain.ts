import type { RingConsumer } from '@kith/ring';

/**
 * Frames handled before other events get their turn. A send on a data channel takes some microseconds, so that one turn lasts
 * about a millisecond.
 */
const FRAMES_PER_TURN = 128;
/** And bytes, since frames may be super-frames: what is queued for a data channel leaves only between turns, and that queue is bounded. */
const BYTES_PER_TURN = 131_072;

/** Called for each frame; the bytes are valid only during the call. */
export type UplinkHandler = (link: number, data: Uint8Array, offset: number, length: number) => void;

/** Empties the uplink ring in the main thread's event loop: asleep while it is empty, in bounded turns while it is not. */
export class UplinkDrain {
  readonly #ring: RingConsumer;
  readonly #handler: UplinkHandler;
  readonly #onError: (error: unknown) => void;
  #isStopped = false;

  /** Begins at once. A handler that throws ends the drain, and `onError` is told. */
  constructor(ring: RingConsumer, handler: UplinkHandler, onError: (error: unknown) => void) {
    this.#ring = ring;
    this.#handler = handler;
    this.#onError = onError;
    setImmediate(this.#turn);
  }

  stop(): void {
    this.#isStopped = true;
    this.#ring.cancelSleep();
  }

  readonly #turn = (): void => {
    if (this.#isStopped) return;
    try {
      const isEmpty = this.#drainSome();
      // The handler may have stopped us: a sleep begun now would never end.
      if (this.#isStopped) return;
      const sleep = isEmpty && this.#ring.announceSleep() ? this.#ring.sleepAsync() : undefined;
      if (sleep === undefined) setImmediate(this.#turn);
      else sleep.then(this.#turn);
    } catch (error) {
      this.#isStopped = true;
      this.#onError(error);
    }
  };

  /** Whether the ring was emptied. */
  #drainSome(): boolean {
    const ring = this.#ring;
    let bytes = 0;
    for (let count = 0; count < FRAMES_PER_TURN && bytes < BYTES_PER_TURN; count++) {
      if (!ring.peek()) return true;
      bytes += ring.length;
      this.#handler(ring.tag, ring.bytes, ring.offset, ring.length);
      ring.release();
      if (this.#isStopped) return true;
    }
    ring.flush();
    return false;
  }
}
