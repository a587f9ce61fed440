import { FRAME_RECORD_BYTES } from '@kith/protocol';

/**
 * Chunks of one link that wait for its data channel, as records `{ length u16, chunk }` back to back, ready to be sent several at a
 * time. Bounded: a chunk that finds no room is dropped and counted, which is what makes TCP inside the overlay slow down.
 * The buffer is two halves' worth: when the tail has no room, what waits is moved to the front once per drain, not per chunk.
 */
export class FrameQueue {
  readonly #data: Uint8Array;
  readonly #limit: number;
  #head = 0;
  #tail = 0;
  dropped = 0;

  /** @param limitBytes how many bytes may wait */
  constructor(limitBytes: number) {
    this.#limit = limitBytes;
    this.#data = new Uint8Array(limitBytes * 2);
  }

  get bytes(): number {
    return this.#tail - this.#head;
  }

  get isEmpty(): boolean {
    return this.#tail === this.#head;
  }

  /** Copies one chunk in; false when there is no room. */
  push(data: Uint8Array, offset: number, length: number): boolean {
    const size = FRAME_RECORD_BYTES + length;
    if (this.bytes + size > this.#limit) {
      this.dropped++;
      return false;
    }
    if (this.#tail + size > this.#data.length) {
      this.#data.copyWithin(0, this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    this.#data[this.#tail] = length >>> 8;
    this.#data[this.#tail + 1] = length;
    this.#data.set(data.subarray(offset, offset + length), this.#tail + FRAME_RECORD_BYTES);
    this.#tail += size;
    return true;
  }

  /**
   * Copies whole records, at least one and as many as fit into `maxBytes`, to `target` at `at`, and removes them.
   * Returns the bytes written.
   */
  take(target: Uint8Array, at: number, maxBytes: number): number {
    let end = this.#head;
    while (end < this.#tail) {
      const next = end + FRAME_RECORD_BYTES + (((this.#data[end] ?? 0) << 8) | (this.#data[end + 1] ?? 0));
      if (end > this.#head && next - this.#head > maxBytes) break;
      end = next;
    }
    const taken = end - this.#head;
    target.set(this.#data.subarray(this.#head, end), at);
    this.#head = end;
    if (this.#head === this.#tail) {
      this.#head = 0;
      this.#tail = 0;
    }
    return taken;
  }

  clear(): void {
    this.#head = 0;
    this.#tail = 0;
  }
}
