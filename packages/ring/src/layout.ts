/**
 * Memory of a ring: a control block of 32-bit words, then the data area, whose size is a power of two.
 *
 * The indices count bytes for ever, modulo 2^32; an index modulo the capacity is a position in the data area, and
 * tail - head is what stands in the ring. Since the capacity divides 2^32 the arithmetic survives the wrap of the counters.
 *
 * A record is a header of two 32-bit words in native byte order (payload length, tag) and the payload, padded to 8 bytes.
 * Where a payload would not fit before the end of the data area, a header with length SKIP sends the consumer to its start.
 */
export type RingMemory = SharedArrayBuffer | ArrayBuffer;

/** Words that the producer writes. */
export const TAIL_WORD = 0;
export const REJECTED_WORD = 1;
/**
 * Words that the consumer writes, 128 bytes on: adjacent-line prefetch makes two 64-byte cache lines one unit, and two threads
 * that write to one unit take it from each other all the time.
 */
export const HEAD_WORD = 32;
/** 1 while the consumer sleeps or is about to; the producer sets it back to 0 when it takes over the duty to wake it. */
export const SLEEP_WORD = 33;

export const CONTROL_BYTES = 256;
export const HEADER_BYTES = 8;
/** Both header words are read as aligned 32-bit words; 8 bytes keep payloads aligned for 64-bit reads too. */
export const ALIGNMENT = 8;
/** A length that no payload can have. */
export const SKIP = 0xffff_ffff;

/** Below, a ring could not hold two of its largest records. */
export const MIN_CAPACITY = 64;
/** Half of the index range, so that full (tail - head = capacity) never looks like empty. */
export const MAX_CAPACITY = 2 ** 30;

/** Bytes that a payload takes in the data area, header and padding included. */
export function recordBytes(payloadBytes: number): number {
  return HEADER_BYTES + ((payloadBytes + ALIGNMENT - 1) & -ALIGNMENT);
}

/** The views that either side works through. */
export interface RingViews {
  readonly control: Int32Array;
  readonly headers: Uint32Array;
  readonly bytes: Uint8Array;
  readonly capacity: number;
}

/** Throws RangeError for memory that createRing did not make. */
export function viewsOf(memory: RingMemory): RingViews {
  const capacity = memory.byteLength - CONTROL_BYTES;
  assertCapacity(capacity);
  return {
    control: new Int32Array(memory, 0, CONTROL_BYTES / 4),
    headers: new Uint32Array(memory, CONTROL_BYTES),
    bytes: new Uint8Array(memory, CONTROL_BYTES),
    capacity,
  };
}

/**
 * Zeroed memory of an empty ring whose data area has `capacity` bytes (a power of two, 64 to 2^30).
 * Shared memory for two threads; plain memory only when producer and consumer live in one.
 */
export function createRing(capacity: number, kind: 'shared' | 'plain' = 'shared'): RingMemory {
  assertCapacity(capacity);
  const bytes = CONTROL_BYTES + capacity;
  return kind === 'shared' ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

function assertCapacity(capacity: number): void {
  const isPowerOfTwo = Number.isInteger(Math.log2(capacity));
  if (!isPowerOfTwo || capacity < MIN_CAPACITY || capacity > MAX_CAPACITY) {
    throw new RangeError(
      `ring capacity must be a power of two from ${MIN_CAPACITY} to 2^30, not ${capacity}`,
    );
  }
}
