import type { RingConsumer } from '@kith/ring';
import { IP4_BYTES } from './addresses.ts';
import type { LinkTranslation } from './member.ts';

/**
 * Commands for the ingress worker travel in the downlink ring between the frames, so that each takes effect exactly between
 * the frames before and behind it. Tags of frames are link numbers, below 2^16; those of commands are above.
 */
export const TAG_BIND = 0x1_0000;
export const TAG_UNBIND_LINK = 0x1_0001;
/** Takes one address from its owner, if that is the one named. */
export const TAG_UNBIND_ADDRESS = 0x1_0002;
export const TAG_SET_TRANSLATION = 0x1_0003;
/** Binds an address to LINK_MEMBER, in one step also if it is the one's of the link that is named: no frame meets a gap between them. */
export const TAG_GIVE_BACK = 0x1_0004;

/** From the egress worker to the main thread, in the uplink ring: an ARP or neighbour discovery frame, to be answered there. */
export const TAG_NEIGHBOUR = 0x1_0021;

/** From the egress worker to the main thread, in the uplink ring: the descriptor that is watched can be read. No payload. */
export const TAG_READABLE = 0x1_0022;

/** Payload of a command: link (16 bits, big-endian), address kind (one byte), address. */
const ADDRESS_AT = 3;

export function encodeBind(link: number, kind: number, address: Uint8Array): Uint8Array {
  return Uint8Array.of(link >> 8, link & 0xff, kind, ...address);
}

export function encodeUnbindLink(link: number): Uint8Array {
  return Uint8Array.of(link >> 8, link & 0xff);
}

/** Link (16 bits, big-endian), a byte that tells whether `localMapped` follows, then the addresses in the order of LinkTranslation. */
export function encodeTranslation(link: number, translation: LinkTranslation): Uint8Array {
  const { remote, source, destination, localMapped } = translation;
  const has = localMapped === undefined ? 0 : 1;
  return Uint8Array.of(
    link >> 8,
    link & 0xff,
    has,
    ...remote,
    ...source,
    ...destination,
    ...(localMapped ?? []),
  );
}

/** The translation of the command at which the ring's consumer stands. */
export function commandTranslation(ring: RingConsumer): LinkTranslation {
  const address = (index: number): Uint8Array => {
    const at = ring.offset + ADDRESS_AT + index * IP4_BYTES;
    return ring.bytes.slice(at, at + IP4_BYTES);
  };
  const translation = { remote: address(0), source: address(1), destination: address(2) };
  return ring.bytes[ring.offset + 2] === 0 ? translation : { ...translation, localMapped: address(3) };
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
