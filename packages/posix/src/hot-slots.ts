import { BugError } from '@kith/base';
import { type HotMemory, hotMemory } from './hot-memory.ts';

/** One mapping of hot memory is cut into slots; 64 KiB is the least that hotMemory maps. */
const BLOCK_BYTES = 65_536;

/** A small piece of hot memory with its own view. */
export interface HotSlot extends HotMemory {
  /** The same bytes as native 32-bit words. */
  readonly words: Uint32Array<ArrayBuffer>;
}

/**
 * Hands out equal pieces of hot memory and takes them back zeroed, for objects that come and go (keys of a link) while hot
 * memory itself is never unmapped. One per thread. It grows with the largest number of slots ever in use at once, which is
 * bounded by whoever owns the objects.
 */
export class HotSlots {
  readonly #slotBytes: number;
  readonly #free: HotSlot[] = [];

  /** `slotBytes` must divide 64 KiB and be a multiple of 8, so that every slot is aligned for pointers. */
  constructor(slotBytes: number) {
    if (slotBytes % 8 !== 0 || BLOCK_BYTES % slotBytes !== 0) {
      throw new BugError('POSIX_BAD_LENGTH', `hot slots of ${slotBytes} bytes do not fill a block`);
    }
    this.#slotBytes = slotBytes;
  }

  /** A zeroed slot. Throws SystemError (ENOMEM). */
  take(): HotSlot {
    if (this.#free.length === 0) this.#grow();
    const slot = this.#free.pop();
    if (slot === undefined) throw new BugError('POSIX_NO_SLOT', 'a fresh block of hot slots is empty');
    return slot;
  }

  /** Wipes a slot and keeps it for the next taker. */
  give(slot: HotSlot): void {
    slot.bytes.fill(0);
    this.#free.push(slot);
  }

  #grow(): void {
    const block = hotMemory(BLOCK_BYTES);
    for (let at = BLOCK_BYTES - this.#slotBytes; at >= 0; at -= this.#slotBytes) {
      this.#free.push({
        bytes: block.bytes.subarray(at, at + this.#slotBytes),
        words: new Uint32Array(block.bytes.buffer, at, this.#slotBytes / 4),
        address: block.address + at,
      });
    }
  }
}
