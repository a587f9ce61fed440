import { isIPv4 } from 'node:net';
import { ConfigError } from '@kith/base';

/** What the forwarding table can hold. */
export type AddressKind = 'mac' | 'ip4' | 'ip6';

/** Address kinds as numbers, for the hot paths; 0 is kept for "none". */
export const KIND_MAC = 1;
export const KIND_IP4 = 2;
export const KIND_IP6 = 3;

/** Uplink tag: the frame goes to every online link (broadcast, multicast, unknown unicast). */
export const LINK_ALL = 0xffff;
/** The owner of this node's own addresses; never a link. */
export const LINK_SELF = 0xfffe;
/** The owner of the MACs of members without a link; as a tag of the downlink, this node's own main thread. Never a link. */
export const LINK_MEMBER = 0xfffd;
/** Largest number of a real link. */
export const LINK_MAX = 0xfffc;

export const MAC_BYTES = 6;
export const IP4_BYTES = 4;
export const IP6_BYTES = 16;

/** The number and the length in bytes of an address kind. */
export function kindNumber(kind: AddressKind): number {
  return kind === 'mac' ? KIND_MAC : kind === 'ip4' ? KIND_IP4 : KIND_IP6;
}

export function addressBytes(kind: number): number {
  return kind === KIND_MAC ? MAC_BYTES : kind === KIND_IP4 ? IP4_BYTES : IP6_BYTES;
}

/** Whether the 6 bytes at `at` may be a station's own address: neither multicast (lowest bit of the first byte) nor zero. */
export function isStationMac(data: Uint8Array, at: number): boolean {
  if (((data[at] ?? 1) & 1) !== 0) return false;
  return !isZero(data, at, MAC_BYTES);
}

/**
 * Addresses that anyone may send from and nobody owns: 0.0.0.0 (a host without an address yet, ARP probes of RFC 5227), `::`
 * (duplicate address detection, RFC 4862), and fe80::/10, which every interface gives itself.
 */
export function isOwnerless(kind: number, data: Uint8Array, at: number): boolean {
  if (kind === KIND_IP4) return isZero(data, at, IP4_BYTES);
  if (kind !== KIND_IP6) return false;
  if (data[at] === 0xfe && ((data[at + 1] ?? 0) & 0xc0) === 0x80) return true;
  return isZero(data, at, IP6_BYTES);
}

/** The 4 bytes of a dotted IPv4 address. Throws ConfigError. */
export function parseIp4(text: string): Uint8Array {
  if (!isIPv4(text)) throw new ConfigError('TAP_ADDRESS', `${JSON.stringify(text)} is not an IPv4 address`);
  return Uint8Array.from(text.split('.'), Number);
}

function isZero(data: Uint8Array, at: number, length: number): boolean {
  for (let index = at; index < at + length; index++) if (data[index] !== 0) return false;
  return true;
}
