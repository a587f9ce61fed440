/** When a link last carried a frame, as far as a counter tells that grows while it is used: as exact as `note` is called often. Times in ms. */
export class TrafficClock {
  #used = 0;
  #lastAt: number | null = null;

  /** @param used grows with what the link carries, in either direction; frames to everybody left out */
  note(used: number, now: number): void {
    if (used === this.#used) return;
    this.#used = used;
    this.#lastAt = now;
  }

  /** Since the last frame; null: there was none. */
  idleMs(now: number): number | null {
    return this.#lastAt === null ? null : Math.max(0, now - this.#lastAt);
  }
}
