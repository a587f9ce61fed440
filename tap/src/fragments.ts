import { CHUNK_HEADER_BYTES } from './chunk.ts';

/**
 * Frames that can be under reassembly at once, for all links together. Fragments of one frame leave back to back, so that only
 * reordering and loss keep a slot busy; the oldest makes room for a new one.
 */
export const FRAGMENT_SLOTS = 16;

/** Fragments of one frame: 64 KiB in chunks of at least MIN_CHUNK_BYTES would be 130; real ones are two. */
const MAX_FRAGMENTS = 136;

interface Slot {
  /** -1: free. */
  link: number;
  id: number;
  flags: number;
  /** When it was begun, in fragments seen. */
  bornAt: number;
  /** Length of the frame, or -1 while its last fragment is missing. */
  total: number;
  received: number;
  count: number;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
}

/** Puts frames together again that were too large for one datagram. Bounded: see FRAGMENT_SLOTS. */
export class Fragments {
  readonly memory: Uint8Array;
  readonly #memoryAt: number;
  readonly #slotBytes: number;
  readonly #headroom: number;
  readonly #maxFrame: number;
  readonly #slots: readonly Slot[];
  #clock = 0;
  /** The frame that add() completed: where it begins in the memory, its length and its flags. */
  frameAt = 0;
  frameBytes = 0;
  flags = 0;
  /** Frames given up half way. */
  lost = 0;

  /** Needs fragmentBytes(maxFrame, headroom) bytes of `memory` at `memoryAt`; leaves `headroom` writable bytes before each frame. */
  constructor(memory: Uint8Array, memoryAt: number, maxFrame: number, headroom: number) {
    this.memory = memory;
    this.#memoryAt = memoryAt;
    this.#maxFrame = maxFrame;
    this.#headroom = headroom;
    this.#slotBytes = maxFrame + headroom;
    this.#slots = Array.from({ length: FRAGMENT_SLOTS }, () => ({
      link: -1,
      id: 0,
      flags: 0,
      bornAt: 0,
      total: -1,
      received: 0,
      count: 0,
      offsets: new Int32Array(MAX_FRAGMENTS),
      lengths: new Int32Array(MAX_FRAGMENTS),
    }));
  }

  /**
   * Takes the bytes of one fragment chunk whose header stands at `at`. Returns 1 when a frame is complete, then described by
   * frameAt, frameBytes and flags until the next call; 0 when more is needed; -1 when the fragment contradicts itself or others.
   */
  add(
    link: number,
    data: Uint8Array,
    at: number,
    length: number,
    id: number,
    offset: number,
    flags: number,
    isLast: boolean,
  ): number {
    const bytes = length - CHUNK_HEADER_BYTES;
    if (bytes <= 0 || offset + bytes > this.#maxFrame) return -1;
    const index = this.#slotOf(link, id);
    const slot = this.#slots[index];
    if (slot === undefined) return -1;
    if (!fits(slot, offset, bytes, isLast)) return -1;
    if (slot.count === 0) slot.flags = flags;
    else if (slot.flags !== flags) return -1;
    slot.offsets[slot.count] = offset;
    slot.lengths[slot.count] = bytes;
    slot.count++;
    slot.received += bytes;
    if (isLast) slot.total = offset + bytes;
    const frameAt = this.#memoryAt + index * this.#slotBytes + this.#headroom;
    this.memory.set(
      data.subarray(at + CHUNK_HEADER_BYTES, at + CHUNK_HEADER_BYTES + bytes),
      frameAt + offset,
    );
    if (slot.received !== slot.total) return 0;
    slot.link = -1;
    this.frameAt = frameAt;
    this.frameBytes = slot.total;
    this.flags = flags;
    return 1;
  }

  /** The slot of a frame; a new one takes the place of a free or the oldest one. */
  #slotOf(link: number, id: number): number {
    let oldest = 0;
    let bornAt = Number.MAX_SAFE_INTEGER;
    for (let index = 0; index < FRAGMENT_SLOTS; index++) {
      const slot = this.#slots[index];
      if (slot === undefined) continue;
      if (slot.link === link && slot.id === id) return index;
      const age = slot.link < 0 ? -1 : slot.bornAt;
      if (age < bornAt) {
        bornAt = age;
        oldest = index;
      }
    }
    const slot = this.#slots[oldest];
    if (slot !== undefined) {
      if (slot.link >= 0) this.lost++;
      slot.link = link;
      slot.id = id;
      slot.bornAt = this.#clock++;
      slot.total = -1;
      slot.received = 0;
      slot.count = 0;
    }
    return oldest;
  }
}

/** Bytes of memory that reassembly takes. */
export function fragmentBytes(maxFrame: number, headroom: number): number {
  return FRAGMENT_SLOTS * (maxFrame + headroom);
}

/** Whether a fragment overlaps none that came before it and lies before the frame's end, so that the sum of lengths tells completeness. */
function fits(slot: Slot, offset: number, bytes: number, isLast: boolean): boolean {
  const end = offset + bytes;
  if (slot.count === MAX_FRAGMENTS) return false;
  if (slot.total >= 0 && (isLast || end > slot.total)) return false;
  for (let index = 0; index < slot.count; index++) {
    const otherAt = slot.offsets[index] ?? 0;
    const otherEnd = otherAt + (slot.lengths[index] ?? 0);
    if (offset < otherEnd && otherAt < end) return false;
    if (isLast && otherEnd > end) return false;
  }
  return true;
}
