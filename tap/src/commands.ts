import type { RingConsumer } from '@kith/ring';

/**
 * Commands for the ingress worker travel in the downlink ring between the frames, so that each takes effect exactly between
 * the frames before and behind it. Tags of frames are link numbers, below 2^16; those of commands are above.
 */
export const TAG_BIND = 0x1_0000;
export const TAG_UNBIND_LINK = 0x1_0001;

/** Payload of a command: link (16 bits, big-endian), address kind (one byte), address. */
const ADDRESS_AT = 3;

export function encodeBind(link: number, kind: number, address: Uint8Array): Uint8Array {
  return Uint8Array.of(link >> 8, link & 0xff, kind, ...address);
}

export function encodeUnbindLink(link: number): Uint8Array {
  return Uint8Array.of(link >> 8, link & 0xff);
}

/** Fields of the command at which the ring's consumer stands. */
export function commandLink(ring: RingConsumer): number {
  return ((ring.bytes[ring.offset] ?? 0) << 8) | (ring.bytes[ring.offset + 1] ?? 0);
}

export function commandKind(ring: RingConsumer): number {
  return ring.bytes[ring.offset + 2] ?? 0;
}

export function commandAddressAt(ring: RingConsumer): number {
  return ring.offset + ADDRESS_AT;
}
