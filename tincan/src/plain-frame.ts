import { VIRTIO_HEADER_BYTES } from '@kith/tap';

/** VIRTIO_NET_HDR_F_NEEDS_CSUM and VIRTIO_NET_HDR_GSO_NONE of linux/virtio_net.h; the header is in the machine's byte order. */
const NEEDS_CSUM = 1;
const GSO_NONE = 0;
const GSO_TYPE_AT = 1;
const CSUM_START_AT = 6;
const CSUM_OFFSET_AT = 8;
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * The Ethernet frame of one read of the TAP device, as any machine may have it: without virtio header, its transport checksum complete.
 * A copy. Undefined for a super-frame, which is many frames: its sender's TCP sends it again, segment by segment, when nobody answers.
 * And for what is no frame at all.
 */
export function plainFrame(data: Uint8Array, offset: number, length: number): Uint8Array | undefined {
  if (length <= VIRTIO_HEADER_BYTES) return undefined;
  const header = new DataView(data.buffer, data.byteOffset + offset, VIRTIO_HEADER_BYTES);
  if (header.getUint8(GSO_TYPE_AT) !== GSO_NONE) return undefined;
  const frame = data.slice(offset + VIRTIO_HEADER_BYTES, offset + length);
  if ((header.getUint8(0) & NEEDS_CSUM) === 0) return frame;
  const start = header.getUint16(CSUM_START_AT, IS_LITTLE_ENDIAN);
  const field = start + header.getUint16(CSUM_OFFSET_AT, IS_LITTLE_ENDIAN);
  if (field + 2 > frame.length) return undefined;
  // The field holds the pseudo-header's sum and is summed with the rest (linux/skbuff.h, CHECKSUM_PARTIAL).
  const sum = onesComplementSum(frame.subarray(start));
  // RFC 768: a UDP checksum that comes out as zero is sent as all ones; for TCP both mean the same.
  const checksum = ~sum & 0xffff || 0xffff;
  frame[field] = checksum >> 8;
  frame[field + 1] = checksum & 0xff;
  return frame;
}

/** RFC 1071, folded; an odd last byte is the high one of its word. */
function onesComplementSum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) sum += index % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
