/** What a wire does to the frames of one direction. Probabilities are 0 to 1. */
export interface Impairment {
  /** How long every frame is under way, in milliseconds. */
  readonly delayMs: number;
  /** Probability that a frame is lost. */
  readonly loss: number;
  /** Probability that a frame is held back for `reorderMs` more, so that later ones overtake it. */
  readonly reorder: number;
  readonly reorderMs: number;
}

export const PASSES = 0;
export const IS_LOST = 1;
export const IS_LATE = 2;
export type Fate = typeof PASSES | typeof IS_LOST | typeof IS_LATE;

/** The constants of mulberry32, a 32-bit generator of period 2^32: plenty for the frames of a run, and fast in V8. */
const STEP = 0x6d2b79f5;
const UINT32 = 2 ** 32;

/** Decides what happens to each frame in turn. The same seed gives the same fates, frame by frame. Never allocates. */
export class Dice {
  readonly #loss: number;
  readonly #lossOrLate: number;
  #state: number;

  constructor(impairment: Impairment, seed: number) {
    this.#loss = impairment.loss;
    this.#lossOrLate = impairment.loss + (1 - impairment.loss) * impairment.reorder;
    this.#state = seed | 0;
  }

  /** The fate of the next frame. */
  throw(): Fate {
    if (this.#lossOrLate === 0) return PASSES;
    const drawn = this.#draw();
    if (drawn < this.#loss) return IS_LOST;
    return drawn < this.#lossOrLate ? IS_LATE : PASSES;
  }

  /** A number from 0 (included) to 1 (excluded). */
  #draw(): number {
    this.#state = (this.#state + STEP) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  }
}
