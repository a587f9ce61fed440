import { putWord16, word16 } from './wire-bytes.ts';

/**
 * A chunk: what one datagram carries of a frame. 8 bytes of header, big-endian, then bytes whose meaning is the kind's:
 *
 *     0      1        2       4         6        8
 *     kind   vflags   id      offset    gso      ...
 *
 * whole      the Ethernet frame
 * tcp, udp   a super-frame's headers (Ethernet to TCP options or UDP), then its payload from byte `offset` on; `gso` is the kernel's
 *            segment size, `id` the super-frame's number
 * fragment   bytes from `offset` on of frame number `id`, which exceeds one datagram
 * bundle     records { vflags u8, length u16, Ethernet frame }
 */
export const CHUNK_HEADER_BYTES = 8;
export const CHUNK_WHOLE = 0;
export const CHUNK_TCP = 1;
export const CHUNK_UDP = 2;
export const CHUNK_FRAGMENT = 3;
export const CHUNK_BUNDLE = 4;

export const BUNDLE_RECORD_BYTES = 3;

/** The transport checksum holds the sum of the pseudo-header only; the receiver derives from the headers where it stands. */
export const CHUNK_NEEDS_CSUM = 1;
/** The chunk holds the end of its frame. */
export const CHUNK_LAST = 2;
/** The kernel marked the super-frame as one whose first segment alone carries CWR. */
export const CHUNK_ECN = 4;

/** Every frame fits into chunks of this size or larger: the longest headers and enough payload to be worth them. */
export const MIN_CHUNK_BYTES = 512;

/** Nothing in a frame lies beyond 64 KiB: IP lengths have 16 bits. */
export const MAX_OFFSET = 0xffff;

/**
 * Whether a chunk is a whole frame to a group address (IEEE 802 §8.2: the lowest bit of the first byte). Such frames are small, and
 * longer ones are no matter where it is asked: what kernels say to everybody of themselves.
 */
export function isGroupChunk(data: Uint8Array, at: number, length: number): boolean {
  if (length <= CHUNK_HEADER_BYTES || data[at] !== CHUNK_WHOLE) return false;
  return ((data[at + CHUNK_HEADER_BYTES] ?? 0) & 1) === 1;
}

/**
 * Whether a chunk holds a frame to one station. Counts what its bytes say, however malformed; only the first frame of a fragmented one
 * shows where it goes to, and those are no kernel's announcements.
 */
export function hasUnicast(data: Uint8Array, at: number, length: number): boolean {
  if (data[at] !== CHUNK_BUNDLE) return !isGroupChunk(data, at, length);
  const end = at + length;
  for (let record = at + CHUNK_HEADER_BYTES; record + BUNDLE_RECORD_BYTES < end; ) {
    const frameAt = record + BUNDLE_RECORD_BYTES;
    if (((data[frameAt] ?? 0) & 1) === 0) return true;
    record = frameAt + word16(data, record + 1);
  }
  return false;
}

export function writeChunkHeader(
  data: Uint8Array,
  at: number,
  kind: number,
  flags: number,
  id: number,
  offset: number,
  gso: number,
): void {
  data[at] = kind;
  data[at + 1] = flags;
  putWord16(data, at + 2, id);
  putWord16(data, at + 4, offset);
  putWord16(data, at + 6, gso);
}
