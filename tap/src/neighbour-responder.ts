import { IP4_BYTES, IP6_BYTES, isStationMac, KIND_IP4, KIND_IP6, MAC_BYTES } from './addresses.ts';
import { foldSum, sumWords } from './checksum.ts';
import { DESTINATION_AT, ETHERNET_HEADER_BYTES, SOURCE_AT } from './frame.ts';
import { putWord16, word16 } from './wire-bytes.ts';

const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;

// ARP for Ethernet and IPv4 (RFC 826), offsets from its first byte
const ARP_OPERATION_AT = 6;
const ARP_SENDER_MAC_AT = 8;
const ARP_SENDER_IP_AT = 14;
const ARP_TARGET_MAC_AT = 18;
const ARP_TARGET_IP_AT = 24;
const ARP_BYTES = 28;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;

// IPv6 (RFC 8200 §3)
const IP6_SOURCE_AT = 8;
const IP6_DESTINATION_AT = 24;
const IP6_HEADER_BYTES = 40;
const ICMP6 = 58;
/** RFC 4861 §6.1 and §7.1: a packet with less came through a router and is not believed. */
const HOP_LIMIT = 255;

// Neighbour solicitation and advertisement (RFC 4861 §4.3, §4.4)
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const TARGET_AT = 8;
const OPTIONS_AT = 24;
const SOURCE_MAC_OPTION = 1;
const TARGET_MAC_OPTION = 2;
/** A MAC option is one unit of 8 bytes. */
const MAC_OPTION_BYTES = 8;
const ADVERTISEMENT_BYTES = OPTIONS_AT + MAC_OPTION_BYTES;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;

/** ff02::1, all nodes of the link, and the MAC of that group (RFC 2464 §7). */
const ALL_NODES = Uint8Array.from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

/** The MAC of the IPv4 (KIND_IP4) or IPv6 address at `at`, when somebody answers to it; undefined: no answer from here. */
export type NeighbourMac = (kind: number, data: Uint8Array, at: number) => Uint8Array | undefined;

/** KIND_IP4 when the frame is to be taken for ARP, KIND_IP6 for an IPv6 neighbour solicitation, 0 for neither. Looks at what decides only. */
export function neighbourKind(data: Uint8Array, offset: number, length: number): number {
  if (length < ETHERNET_HEADER_BYTES) return 0;
  const etherType = word16(data, offset + ETHERNET_HEADER_BYTES - 2);
  if (etherType === ETH_P_ARP) return KIND_IP4;
  const isSolicitation =
    etherType === ETH_P_IPV6 &&
    length >= ETHERNET_HEADER_BYTES + IP6_HEADER_BYTES + OPTIONS_AT &&
    data[offset + ETHERNET_HEADER_BYTES + 6] === ICMP6 &&
    data[offset + ETHERNET_HEADER_BYTES + IP6_HEADER_BYTES] === SOLICITATION;
  return isSolicitation ? KIND_IP6 : 0;
}

/**
 * The answer to the ARP request or IPv6 neighbour solicitation at `offset`: a whole Ethernet frame. Null when it is neither, is
 * malformed, asks for an address that `macOf` does not know, or is an announcement (a request for the sender's own address).
 * Behind a VLAN tag nothing is answered.
 */
export function answerNeighbour(
  data: Uint8Array,
  offset: number,
  length: number,
  macOf: NeighbourMac,
): Uint8Array | null {
  const kind = neighbourKind(data, offset, length);
  if (kind === 0 || !isStationMac(data, offset + SOURCE_AT)) return null;
  const at = offset + ETHERNET_HEADER_BYTES;
  const bytes = length - ETHERNET_HEADER_BYTES;
  return kind === KIND_IP4
    ? answerArp(data, offset, at, bytes, macOf)
    : answerSolicitation(data, offset, at, bytes, macOf);
}

/** An ARP reply: `ip` is at `mac`; to `toMac`, which has `toIp`. */
export function arpReply(mac: Uint8Array, ip: Uint8Array, toMac: Uint8Array, toIp: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER_BYTES + ARP_BYTES);
  putEthernet(frame, toMac, mac, ETH_P_ARP);
  const at = ETHERNET_HEADER_BYTES;
  // Hardware type Ethernet, protocol IPv4, address lengths 6 and 4
  frame.set([0, 1, ETH_P_IP >> 8, ETH_P_IP & 0xff, MAC_BYTES, IP4_BYTES, 0, ARP_REPLY], at);
  frame.set(mac, at + ARP_SENDER_MAC_AT);
  frame.set(ip, at + ARP_SENDER_IP_AT);
  frame.set(toMac, at + ARP_TARGET_MAC_AT);
  frame.set(toIp, at + ARP_TARGET_IP_AT);
  return frame;
}

/**
 * A gratuitous ARP reply (RFC 5944 §4.6), for `toMac` alone: `ip` is at `mac`. Linux believes one at once; another reply that names a new
 * MAC it does not within a second of the last news of the address (locktime of arp(7); arp_process of net/ipv4/arp.c).
 * A machine that is told to drop it (drop_gratuitous_arp of ip-sysctl) learns by asking, as from any other network.
 */
export function gratuitousArp(mac: Uint8Array, ip: Uint8Array, toMac: Uint8Array): Uint8Array {
  const frame = arpReply(mac, ip, mac, ip);
  frame.set(toMac, DESTINATION_AT);
  return frame;
}

/**
 * A neighbour advertisement from and for `ip` at `mac`. To an address that solicited it, or, null, unsolicited to all nodes
 * (RFC 4861 §7.2.6); `toMac` is where the frame goes in either case.
 */
export function advertisement(
  mac: Uint8Array,
  ip: Uint8Array,
  toMac: Uint8Array,
  toIp: Uint8Array | null,
): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER_BYTES + IP6_HEADER_BYTES + ADVERTISEMENT_BYTES);
  putEthernet(frame, toMac, mac, ETH_P_IPV6);
  const at = ETHERNET_HEADER_BYTES;
  frame.set([0x60, 0, 0, 0, 0, ADVERTISEMENT_BYTES, ICMP6, HOP_LIMIT], at);
  frame.set(ip, at + IP6_SOURCE_AT);
  frame.set(toIp ?? ALL_NODES, at + IP6_DESTINATION_AT);
  const message = at + IP6_HEADER_BYTES;
  frame[message] = ADVERTISEMENT;
  frame[message + 4] = (toIp === null ? 0 : FLAG_SOLICITED) | FLAG_OVERRIDE;
  frame.set(ip, message + TARGET_AT);
  frame.set([TARGET_MAC_OPTION, 1], message + OPTIONS_AT);
  frame.set(mac, message + OPTIONS_AT + 2);
  putWord16(frame, message + 2, ~icmp6Sum(frame, at, ADVERTISEMENT_BYTES) & 0xffff);
  return frame;
}

function answerArp(
  data: Uint8Array,
  offset: number,
  at: number,
  bytes: number,
  macOf: NeighbourMac,
): Uint8Array | null {
  if (bytes < ARP_BYTES) return null;
  const isEthernetIp4 =
    word16(data, at) === 1 && word16(data, at + 2) === ETH_P_IP && word16(data, at + 4) === 0x0604;
  if (!isEthernetIp4 || word16(data, at + ARP_OPERATION_AT) !== ARP_REQUEST) return null;
  // A reply goes to the sender that the message names; one that names another than sent it is somebody's forgery.
  if (!isSame(data, at + ARP_SENDER_MAC_AT, offset + SOURCE_AT, MAC_BYTES)) return null;
  if (isSame(data, at + ARP_SENDER_IP_AT, at + ARP_TARGET_IP_AT, IP4_BYTES)) return null;
  const mac = macOf(KIND_IP4, data, at + ARP_TARGET_IP_AT);
  if (mac === undefined) return null;
  return arpReply(
    mac,
    data.slice(at + ARP_TARGET_IP_AT, at + ARP_TARGET_IP_AT + IP4_BYTES),
    data.slice(at + ARP_SENDER_MAC_AT, at + ARP_SENDER_MAC_AT + MAC_BYTES),
    data.slice(at + ARP_SENDER_IP_AT, at + ARP_SENDER_IP_AT + IP4_BYTES),
  );
}

function answerSolicitation(
  data: Uint8Array,
  offset: number,
  at: number,
  bytes: number,
  macOf: NeighbourMac,
): Uint8Array | null {
  const messageBytes = word16(data, at + 4);
  if (!isSoundSolicitation(data, at, messageBytes, bytes)) return null;
  const target = at + IP6_HEADER_BYTES + TARGET_AT;
  const source = at + IP6_SOURCE_AT;
  if (isSame(data, source, target, IP6_BYTES)) return null;
  const mac = macOf(KIND_IP6, data, target);
  if (mac === undefined) return null;
  const ip = data.slice(target, target + IP6_BYTES);
  // Duplicate address detection asks from no address, so that the answer can only go to all (RFC 4861 §7.2.4).
  if (isUnspecified(data, source)) return advertisement(mac, ip, ALL_NODES_MAC, null);
  const sender = data.slice(offset + SOURCE_AT, offset + SOURCE_AT + MAC_BYTES);
  return advertisement(mac, ip, sender, data.slice(source, source + IP6_BYTES));
}

/** The checks of RFC 4861 §7.1.1. */
function isSoundSolicitation(data: Uint8Array, at: number, messageBytes: number, bytes: number): boolean {
  const message = at + IP6_HEADER_BYTES;
  if ((data[at] ?? 0) >> 4 !== 6 || data[at + 7] !== HOP_LIMIT || data[message + 1] !== 0) return false;
  if (messageBytes < OPTIONS_AT || IP6_HEADER_BYTES + messageBytes > bytes) return false;
  // ff00::/8 is multicast.
  if (data[message + TARGET_AT] === 0xff || data[at + IP6_SOURCE_AT] === 0xff) return false;
  if (icmp6Sum(data, at, messageBytes) !== 0xffff) return false;
  const isDetection = isUnspecified(data, at + IP6_SOURCE_AT);
  if (isDetection && !isSolicitedNode(data, at + IP6_DESTINATION_AT)) return false;
  for (let option = OPTIONS_AT; option < messageBytes; ) {
    if (option + 2 > messageBytes) return false;
    const optionBytes = (data[message + option + 1] ?? 0) * 8;
    if (optionBytes === 0 || option + optionBytes > messageBytes) return false;
    if (isDetection && data[message + option] === SOURCE_MAC_OPTION) return false;
    option += optionBytes;
  }
  return true;
}

/** ff02::1:ff00:0/104 (RFC 4291 §2.7.1). */
function isSolicitedNode(data: Uint8Array, at: number): boolean {
  if (data[at] !== 0xff || data[at + 1] !== 2) return false;
  for (let index = 2; index < 11; index++) if (data[at + index] !== 0) return false;
  return data[at + 11] === 1 && data[at + 12] === 0xff;
}

/** The folded sum over an ICMPv6 message and its pseudo-header (RFC 8200 §8.1): 0xffff when the checksum inside is right. */
function icmp6Sum(data: Uint8Array, ipAt: number, messageBytes: number): number {
  const addresses = sumWords(data, ipAt + IP6_SOURCE_AT, 2 * IP6_BYTES);
  return foldSum(addresses + messageBytes + ICMP6 + sumWords(data, ipAt + IP6_HEADER_BYTES, messageBytes));
}

function putEthernet(frame: Uint8Array, to: Uint8Array, from: Uint8Array, etherType: number): void {
  frame.set(to, 0);
  frame.set(from, SOURCE_AT);
  putWord16(frame, ETHERNET_HEADER_BYTES - 2, etherType);
}

function isUnspecified(data: Uint8Array, at: number): boolean {
  for (let index = 0; index < IP6_BYTES; index++) if (data[at + index] !== 0) return false;
  return true;
}

function isSame(data: Uint8Array, a: number, b: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (data[a + index] !== data[b + index]) return false;
  return true;
}
