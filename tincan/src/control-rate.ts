/** Control messages per second that a peer may send: pings, credit for 2 Gbit/s and room; more is an attack on our memory. */
const MAX_CONTROL_PER_SECOND = 2_000;

/** Counts the messages of one control channel. Pure; times in ms. */
export class ControlRate {
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** Counts one message; true when the peer sends more than it may. */
  isFlood(now: number): boolean {
    if (now - this.#since >= 1_000) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count++;
    return this.#count > MAX_CONTROL_PER_SECOND;
  }
}
