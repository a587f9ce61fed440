/**
 * Frames under way, first in, first out, in slots of a buffer that the caller owns: a frame is read straight into its slot and
 * written straight from it. Never allocates after construction.
 */
export class WireQueue {
  readonly #base: number;
  readonly #slotBytes: number;
  readonly #slots: number;
  readonly #lengths: Uint32Array;
  readonly #due: Float64Array;
  #first = 0;
  #count = 0;

  /** `slots` slots of `slotBytes` bytes each, from byte `base` of the caller's buffer. */
  constructor(base: number, slots: number, slotBytes: number) {
    this.#base = base;
    this.#slots = slots;
    this.#slotBytes = slotBytes;
    this.#lengths = new Uint32Array(slots);
    this.#due = new Float64Array(slots);
  }

  get full(): boolean {
    return this.#count === this.#slots;
  }

  /** Byte offset of the slot that the next `push` takes. Meaningless when the queue is full. */
  get free(): number {
    return this.#base + ((this.#first + this.#count) % this.#slots) * this.#slotBytes;
  }

  /** Queues the frame that stands in the free slot. `due` (any clock) must not be before that of the frame ahead. */
  push(length: number, due: number): void {
    const slot = (this.#first + this.#count++) % this.#slots;
    this.#lengths[slot] = length;
    this.#due[slot] = due;
  }

  /** When the first frame is due; Infinity when there is none. */
  get due(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#due[this.#first] ?? 0);
  }

  /** Byte offset and length of the first frame. */
  get offset(): number {
    return this.#base + this.#first * this.#slotBytes;
  }

  get length(): number {
    return this.#lengths[this.#first] ?? 0;
  }

  pop(): void {
    this.#count--;
    // An empty queue starts again at slot 0: a wire without delay then stays within the CPU's cache.
    this.#first = this.#count === 0 ? 0 : (this.#first + 1) % this.#slots;
  }
}
