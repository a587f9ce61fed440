import { KIND_IP4, KIND_IP6 } from './addresses.ts';

export const ETHERNET_HEADER_BYTES = 14;
export const VLAN_TAG_BYTES = 4;
/** Where a frame's destination and source addresses stand. */
export const DESTINATION_AT = 0;
export const SOURCE_AT = 6;

// EtherTypes (IEEE 802 numbers, linux/if_ether.h)
const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const ETH_P_8021Q = 0x8100;
const ETH_P_IPV6 = 0x86dd;
const ETH_P_8021AD = 0x88a8;

const IP4_HEADER_BYTES = 20;
const IP6_HEADER_BYTES = 40;
/** ARP for Ethernet and IPv4 (RFC 826): 8 bytes, then sender MAC and IP, target MAC and IP. */
const ARP_BYTES = 28;
const ICMP6 = 58;
/** ICMPv6 type of a neighbour advertisement (RFC 4861 §4.4): 8 bytes, then the target address. */
const NEIGHBOUR_ADVERTISEMENT = 136;
const NEIGHBOUR_ADVERTISEMENT_BYTES = 24;
// IPv6 extension headers whose second byte counts their 8-byte units beyond the first (RFC 8200 §4)
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
/** Eight headers are more than any stack sends; a longer chain is refused, lest an advertisement hide behind it. */
const MAX_EXTENSION_HEADERS = 8;

/** Where in a buffer a frame claims addresses as its sender's; filled anew by each inspectFrame, so that none is allocated. */
export interface FrameClaims {
  /** KIND_IP4, KIND_IP6 or 0: what stands at `ipAt`, the source of an IP packet or the sender of an ARP message. */
  ipKind: number;
  ipAt: number;
  /** The sender's hardware address inside an ARP message, or -1. */
  arpMacAt: number;
  /** The address that a neighbour advertisement claims, or -1. */
  advertisedAt: number;
}

export function newFrameClaims(): FrameClaims {
  return { ipKind: 0, ipAt: -1, arpMacAt: -1, advertisedAt: -1 };
}

/**
 * Finds every sender address that the Ethernet frame at `offset` claims. False when the frame is malformed: truncated, lengths
 * that do not agree, ARP for anything but IPv4 over Ethernet, or more than one VLAN tag. Stacked tags are refused because Linux
 * strips a whole stack of priority tags (VLAN 0; `check_vlan_id` in net/core/dev.c), so that an uninspected packet would arrive.
 * Payloads that are not ARP, IPv4 or IPv6 claim nothing.
 */
export function inspectFrame(data: Uint8Array, offset: number, length: number, claims: FrameClaims): boolean {
  claims.ipKind = 0;
  claims.ipAt = -1;
  claims.arpMacAt = -1;
  claims.advertisedAt = -1;
  const end = offset + length;
  let at = offset + ETHERNET_HEADER_BYTES;
  if (at > end) return false;
  let etherType = word(data, at - 2);
  if (isVlan(etherType)) {
    at += VLAN_TAG_BYTES;
    if (at > end) return false;
    etherType = word(data, at - 2);
    if (isVlan(etherType)) return false;
  }
  if (etherType === ETH_P_IP) return inspectIp4(data, at, end, claims);
  if (etherType === ETH_P_IPV6) return inspectIp6(data, at, end, claims);
  if (etherType === ETH_P_ARP) return inspectArp(data, at, end, claims);
  return true;
}

function inspectIp4(data: Uint8Array, at: number, end: number, claims: FrameClaims): boolean {
  if (at + IP4_HEADER_BYTES > end) return false;
  const versionAndLength = data[at] ?? 0;
  const headerBytes = (versionAndLength & 0x0f) * 4;
  const totalBytes = word(data, at + 2);
  if (versionAndLength >> 4 !== 4 || headerBytes < IP4_HEADER_BYTES) return false;
  if (totalBytes < headerBytes || at + totalBytes > end) return false;
  claims.ipKind = KIND_IP4;
  claims.ipAt = at + 12;
  return true;
}

function inspectArp(data: Uint8Array, at: number, end: number, claims: FrameClaims): boolean {
  if (at + ARP_BYTES > end) return false;
  // Hardware type Ethernet, protocol IPv4, address lengths 6 and 4
  if (word(data, at) !== 1 || word(data, at + 2) !== ETH_P_IP || word(data, at + 4) !== 0x0604) return false;
  claims.arpMacAt = at + 8;
  claims.ipKind = KIND_IP4;
  claims.ipAt = at + 14;
  return true;
}

function inspectIp6(data: Uint8Array, at: number, end: number, claims: FrameClaims): boolean {
  const payloadAt = at + IP6_HEADER_BYTES;
  if (payloadAt > end || (data[at] ?? 0) >> 4 !== 6) return false;
  const payloadEnd = payloadAt + word(data, at + 4);
  if (payloadEnd > end) return false;
  claims.ipKind = KIND_IP6;
  claims.ipAt = at + 8;
  return inspectIp6Payload(data, data[at + 6] ?? 0, payloadAt, payloadEnd, claims);
}

/** Walks the extension headers to a neighbour advertisement, if there is one. */
function inspectIp6Payload(
  data: Uint8Array,
  firstHeader: number,
  firstAt: number,
  end: number,
  claims: FrameClaims,
): boolean {
  let header = firstHeader;
  let at = firstAt;
  for (let count = 0; count <= MAX_EXTENSION_HEADERS; count++) {
    if (header === ICMP6) {
      if (at >= end || data[at] !== NEIGHBOUR_ADVERTISEMENT) return true;
      if (at + NEIGHBOUR_ADVERTISEMENT_BYTES > end) return false;
      claims.advertisedAt = at + 8;
      return true;
    }
    // Behind a fragment header no advertisement is valid: RFC 6980 forbids it and Linux drops it (ndisc_rcv).
    if (header === FRAGMENT) return true;
    if (header !== HOP_BY_HOP && header !== ROUTING && header !== DESTINATION_OPTIONS) return true;
    if (at + 8 > end) return false;
    header = data[at] ?? 0;
    at += ((data[at + 1] ?? 0) + 1) * 8;
  }
  return false;
}

function isVlan(etherType: number): boolean {
  return etherType === ETH_P_8021Q || etherType === ETH_P_8021AD;
}

/** 16 bits in network byte order. */
function word(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}
