/** Control messages per second that a peer may send: pings, credit for 2 Gbit/s and room; more is an attack on our memory. */
const MAX_CONTROL_PER_SECOND = 2_000;

/** Counts the messages of one second. Pure; times in ms. */
export class ControlRate {
  readonly #most: number;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(most = MAX_CONTROL_PER_SECOND) {
    this.#most = most;
  }

  /** Counts one message; true when there are more than there may be. */
  isFlood(now: number): boolean {
    if (now - this.#since >= 1_000) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count++;
    return this.#count > this.#most;
  }
}
