/** When a link last carried a frame, as far as its byte counters tell: as exact as `note` is called often. Times in ms. */
export class TrafficClock {
  #bytes = 0;
  #lastAt: number | null = null;

  /** @param bytes all that the link has carried so far, both directions */
  note(bytes: number, now: number): void {
    if (bytes === this.#bytes) return;
    this.#bytes = bytes;
    this.#lastAt = now;
  }

  /** Since the last frame; null: there was none. */
  idleMs(now: number): number | null {
    return this.#lastAt === null ? null : Math.max(0, now - this.#lastAt);
  }
}
