import { ETHERNET_HEADER_BYTES } from './frame.ts';
import {
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  newVirtioHeader,
  VIRTIO_HEADER_BYTES,
  VIRTIO_NEEDS_CSUM,
  writeVirtioHeader,
} from './virtio-header.ts';
import { putWord16 } from './wire-bytes.ts';

const BROADCAST = new Uint8Array(6).fill(0xff);
/** RFC 2464 §7: all nodes. */
const MULTICAST = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

/** The two ends of a link that is rehearsed: who sends, and who receives. */
export interface RehearsalLink {
  readonly from: RehearsalAddresses;
  readonly to: RehearsalAddresses;
}

interface RehearsalAddresses {
  readonly mac: Uint8Array;
  readonly ip4: Uint8Array;
  readonly ip6: Uint8Array;
}

/** `index` is below 64. MACs are locally administered, IP addresses those of RFC 5737 and RFC 3849. */
export function rehearsalLink(index: number): RehearsalLink {
  return { from: addresses(2 * index + 1), to: addresses(2 * index + 2) };
}

function addresses(host: number): RehearsalAddresses {
  return {
    mac: Uint8Array.of(2, 0, 0, 0, 0, host),
    ip4: Uint8Array.of(192, 0, 2, host),
    ip6: Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), host),
  };
}

const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMP6 = 58;
const HOP_BY_HOP = 0;
const ECHO = 8;
const ECHO6 = 128;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const LISTENER_REPORT = 143;
const IP4_BYTES = 20;
const IP6_BYTES = 40;
/** With room for the time stamp that Linux sends. */
const TCP_BYTES = 32;
/** Offsets of checksums in the headers of TCP and UDP. */
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
/** Linux writes most streams in pieces of nearly 64 KiB; this fits into a local socket's buffer twice. */
export const SUPER_FRAME_BYTES = 50_000;

/** What reads of TAP give, virtio header and frame each. */
export interface RehearsalFrames {
  /** ARP, multicast listener reports, neighbour discovery, echo, acknowledgements, full packets of TCP and UDP. */
  readonly packets: readonly Uint8Array[];
  /** TCP super-frames over IPv4 and IPv6. */
  readonly superFrames: readonly Uint8Array[];
}

/** All kinds of frames that a node meets in its first seconds. The first two of `packets` are for everybody. */
export function rehearsalFrames(link: RehearsalLink, mtu: number): RehearsalFrames {
  const full4 = mtu - IP4_BYTES;
  const full6 = mtu - IP6_BYTES;
  const { mac } = link.to;
  return {
    packets: [
      arp(link, BROADCAST, 1),
      icmp6(link, MULTICAST, SOLICITATION),
      arp(link, mac, 2),
      icmp6(link, mac, ADVERTISEMENT),
      echo4(link),
      icmp6(link, mac, ECHO6),
      unspecified(icmp6(link, MULTICAST, SOLICITATION)),
      listenerReport(link),
      tcp(link, 4, TCP_BYTES, mtu),
      tcp(link, 6, TCP_BYTES, mtu),
      tcp(link, 4, full4, mtu),
      tcp(link, 6, full6, mtu),
      udp(link, full4),
    ],
    superFrames: [tcp(link, 4, SUPER_FRAME_BYTES, mtu), tcp(link, 6, SUPER_FRAME_BYTES, mtu)],
  };
}

function frame(from: Uint8Array, to: Uint8Array, etherType: number, packetBytes: number): Uint8Array {
  const data = new Uint8Array(VIRTIO_HEADER_BYTES + ETHERNET_HEADER_BYTES + packetBytes);
  data.set([...to, ...from], VIRTIO_HEADER_BYTES);
  putWord16(data, VIRTIO_HEADER_BYTES + 12, etherType);
  return data;
}

const PACKET_AT = VIRTIO_HEADER_BYTES + ETHERNET_HEADER_BYTES;

function arp({ from, to }: RehearsalLink, mac: Uint8Array, operation: number): Uint8Array {
  const data = frame(from.mac, mac, ETH_P_ARP, 28);
  data.set([0, 1, 8, 0, 6, 4, 0, operation, ...from.mac, ...from.ip4], PACKET_AT);
  data.set(to.ip4, PACKET_AT + 24);
  return data;
}

function ip4({ from, to }: RehearsalLink, protocol: number, payloadBytes: number): Uint8Array {
  const data = frame(from.mac, to.mac, ETH_P_IP, IP4_BYTES + payloadBytes);
  data[PACKET_AT] = 0x45;
  putWord16(data, PACKET_AT + 2, IP4_BYTES + payloadBytes);
  data[PACKET_AT + 8] = 64;
  data[PACKET_AT + 9] = protocol;
  data.set([...from.ip4, ...to.ip4], PACKET_AT + 12);
  return data;
}

function ip6(
  { from, to }: RehearsalLink,
  mac: Uint8Array,
  protocol: number,
  payloadBytes: number,
): Uint8Array {
  const data = frame(from.mac, mac, ETH_P_IPV6, IP6_BYTES + payloadBytes);
  data[PACKET_AT] = 0x60;
  putWord16(data, PACKET_AT + 4, payloadBytes);
  data[PACKET_AT + 6] = protocol;
  data[PACKET_AT + 7] = 255;
  data.set([...from.ip6, ...to.ip6], PACKET_AT + 8);
  return data;
}

/** Of the length that ping(8) sends. */
function echo4(link: RehearsalLink): Uint8Array {
  const data = ip4(link, ICMP, 64);
  data[PACKET_AT + IP4_BYTES] = ECHO;
  return data;
}

/** Long enough for any of the types used here. */
function icmp6(link: RehearsalLink, mac: Uint8Array, type: number): Uint8Array {
  const data = ip6(link, mac, ICMP6, 64);
  const at = PACKET_AT + IP6_BYTES;
  data[at] = type;
  data.set(type === ADVERTISEMENT ? link.from.ip6 : link.to.ip6, at + 8);
  return data;
}

/** As a host asks whether its address is free (RFC 4862 §5.4.2). */
function unspecified(packet: Uint8Array): Uint8Array {
  packet.fill(0, PACKET_AT + 8, PACKET_AT + 24);
  return packet;
}

/** Behind a hop-by-hop header (RFC 3810 §5). */
function listenerReport(link: RehearsalLink): Uint8Array {
  const data = ip6(link, MULTICAST, HOP_BY_HOP, 64);
  data[PACKET_AT + IP6_BYTES] = ICMP6;
  data[PACKET_AT + IP6_BYTES + 8] = LISTENER_REPORT;
  return data;
}

/** An acknowledgement with `bytes` of TCP, header included; a super-frame when that is more than `mtu` allows. */
function tcp(link: RehearsalLink, version: 4 | 6, bytes: number, mtu: number): Uint8Array {
  const ipBytes = version === 4 ? IP4_BYTES : IP6_BYTES;
  const data = version === 4 ? ip4(link, TCP, bytes) : ip6(link, link.to.mac, TCP, bytes);
  const at = PACKET_AT + ipBytes;
  data[at + 12] = (TCP_BYTES / 4) << 4;
  data[at + 13] = 0x10;
  // Options that are padding.
  data.fill(1, at + 20, at + TCP_BYTES);
  const isSuper = ipBytes + bytes > mtu;
  writeVirtioHeader(data, 0, {
    flags: VIRTIO_NEEDS_CSUM,
    gsoType: isSuper ? (version === 4 ? GSO_TCPV4 : GSO_TCPV6) : GSO_NONE,
    gsoSize: isSuper ? mtu - ipBytes - TCP_BYTES : 0,
    headerBytes: ETHERNET_HEADER_BYTES + ipBytes + TCP_BYTES,
    checksumStart: ETHERNET_HEADER_BYTES + ipBytes,
    checksumOffset: TCP_CHECKSUM,
  });
  return data;
}

function udp(link: RehearsalLink, bytes: number): Uint8Array {
  const data = ip4(link, UDP, bytes);
  putWord16(data, PACKET_AT + IP4_BYTES + 4, bytes);
  writeVirtioHeader(data, 0, {
    ...newVirtioHeader(),
    flags: VIRTIO_NEEDS_CSUM,
    checksumStart: ETHERNET_HEADER_BYTES + IP4_BYTES,
    checksumOffset: UDP_CHECKSUM,
  });
  return data;
}
