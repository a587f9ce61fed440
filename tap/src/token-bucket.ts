/** A rate limit that lets bursts pass: tokens come in at a steady rate up to a depth, each admission takes one. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #depth: number;
  #tokens: number;
  #filledAtMs: number;

  /** Starts full at `nowMs`, a monotonic time. */
  constructor(perSecond: number, depth: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#depth = depth;
    this.#tokens = depth;
    this.#filledAtMs = nowMs;
  }

  /** Takes a token; false when there is none. */
  take(nowMs: number): boolean {
    // A clock that stands still or steps back fills nothing.
    const elapsed = Math.max(0, nowMs - this.#filledAtMs);
    this.#tokens = Math.min(this.#depth, this.#tokens + elapsed * this.#perMs);
    this.#filledAtMs = Math.max(this.#filledAtMs, nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
