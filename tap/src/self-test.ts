import { KithError } from '@kith/base';
import {
  addressOf,
  DatagramReceiver,
  DatagramSender,
  encodeSockaddr,
  hotMemory,
  POLLIN,
  PollSet,
  SOCKADDR_BYTES,
  stableBytes,
  UdpSocket,
  writeFrom,
} from '@kith/posix';
import { checksum } from './checksum.ts';
import type { Offload } from './device.ts';
import {
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  newVirtioHeader,
  VIRTIO_HEADER_BYTES,
  VIRTIO_NEEDS_CSUM,
  writeVirtioHeader,
} from './virtio-header.ts';
import { putWord16 } from './wire-bytes.ts';

/** What of UDP's offloads works here. */
export interface UdpOffload {
  readonly gso: boolean;
  readonly gro: boolean;
}

const SEGMENT = 1_000;
/** Three full segments and a short one. */
const TOTAL = 3_300;
const SLOTS = 8;
const SLOT_BYTES = 65_536;
/** Loopback delivers before the send returns; this is for a machine that schedules its softirqs elsewhere. */
const WAIT_MS = 200;

let udp: UdpOffload | undefined;

/**
 * Sends a batch with UDP_SEGMENT to a socket of our own with UDP_GRO and compares every byte, once per process. Off is what the
 * kernel refuses, and what comes out changed.
 */
export function testUdpOffload(): UdpOffload {
  udp ??= { gso: passes(true, false), gro: passes(true, true) || passes(false, true) };
  return udp;
}

function passes(gso: boolean, gro: boolean): boolean {
  let to: UdpSocket | undefined;
  let from: UdpSocket | undefined;
  try {
    to = UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0, gro });
    from = UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0, gro: false });
    return (!gro || to.gro) && isCarried(from, to, gso);
  } catch (error) {
    // No loopback, say. Then nothing is proved, and the offload stays off.
    if (error instanceof KithError) return false;
    throw error;
  } finally {
    to?.close();
    from?.close();
  }
}

function isCarried(from: UdpSocket, to: UdpSocket, gso: boolean): boolean {
  const memory = selfTestMemory();
  for (let index = 0; index < TOTAL; index++) memory.bytes[index] = patternAt(index);
  const sockaddr = stableBytes(SOCKADDR_BYTES);
  const length = encodeSockaddr(4, '127.0.0.1', to.port, sockaddr);
  const sender = new DatagramSender(from.fd, 1);
  for (let at = 0; at < TOTAL; at += gso ? TOTAL : SEGMENT) {
    const bytes = gso ? TOTAL : Math.min(SEGMENT, TOTAL - at);
    const sent = sender.send(addressOf(sockaddr), length, memory.address + at, bytes, gso ? SEGMENT : 0);
    if (sent !== bytes) return false;
  }
  return hasArrived(to, new DatagramReceiver(to.fd, memory, SLOT_BYTES, SLOTS, SLOT_BYTES));
}

/** Whether the pattern arrived whole, in order, in datagrams of the right sizes. */
function hasArrived(to: UdpSocket, receiver: DatagramReceiver): boolean {
  const poll = new PollSet([{ fd: to.fd, events: POLLIN }]);
  const memory = selfTestMemory();
  let arrived = 0;
  while (arrived < TOTAL) {
    if (poll.wait(WAIT_MS) === 0) return false;
    const filled = receiver.receive();
    if (filled < 0) return false;
    for (let slot = 0; slot < filled; slot++) {
      const segment = receiver.segmentBytes(slot) || receiver.length(slot);
      if (segment !== Math.min(SEGMENT, TOTAL - arrived)) return false;
      for (let index = 0; index < receiver.length(slot); index++) {
        if (memory.bytes[receiver.at(slot) + index] !== patternAt(arrived++)) return false;
      }
    }
  }
  return true;
}

/** No period that a segment's length shares. */
function patternAt(index: number): number {
  return (index * 7 + (index >> 8)) & 0xff;
}

let memory: ReturnType<typeof hotMemory> | undefined;

/** Taken once: hot memory is never given back. */
function selfTestMemory(): ReturnType<typeof hotMemory> {
  memory ??= hotMemory((SLOTS + 1) * SLOT_BYTES);
  return memory;
}

const ETHERNET_BYTES = 14;
const IP4_BYTES = 20;
const IP6_BYTES = 40;
const TCP = { protocol: 6, headerBytes: 20, checksumAt: 16 };
const UDP = { protocol: 17, headerBytes: 8, checksumAt: 6 };
type Transport = typeof TCP;

/**
 * Writes a super-frame of two segments of each wanted kind to TAP and sees whether the kernel takes it. It is addressed to a MAC
 * that is not the device's, from a documentation address (RFC 5737, RFC 3849), so that no application or route ever sees it. Whether
 * the kernel takes it is all that there is to see: it judges the virtio header as it reads it, and answers to nothing else.
 */
export function testTapWrites(fd: number, wanted: Offload): Offload {
  return {
    tso: takes(fd, GSO_TCPV4, TCP, ip4Header) && takes(fd, GSO_TCPV6, TCP, ip6Header),
    uso: wanted.uso && takes(fd, GSO_UDP_L4, UDP, ip4Header) && takes(fd, GSO_UDP_L4, UDP, ip6Header),
  };
}

/** The EtherType and the IP header of a packet with `bytes` behind that header. */
type NetworkHeader = (transport: Transport, bytes: number) => { etherType: number; header: Uint8Array };

function takes(fd: number, gsoType: number, transport: Transport, network: NetworkHeader): boolean {
  const segment = 512;
  const { etherType, header } = network(transport, transport.headerBytes + 2 * segment);
  const transportAt = ETHERNET_BYTES + header.length;
  const headerBytes = transportAt + transport.headerBytes;
  const frame = stableBytes(VIRTIO_HEADER_BYTES + headerBytes + 2 * segment);
  const virtio = newVirtioHeader();
  virtio.flags = VIRTIO_NEEDS_CSUM;
  virtio.gsoType = gsoType;
  virtio.gsoSize = segment;
  virtio.headerBytes = headerBytes;
  virtio.checksumStart = transportAt;
  virtio.checksumOffset = transport.checksumAt;
  writeVirtioHeader(frame, 0, virtio);
  // To and from locally administered unicast addresses.
  frame.set([2, 0, 0, 0, 0xff, 1, 2, 0, 0, 0, 0xff, 2], VIRTIO_HEADER_BYTES);
  putWord16(frame, VIRTIO_HEADER_BYTES + ETHERNET_BYTES - 2, etherType);
  frame.set(header, VIRTIO_HEADER_BYTES + ETHERNET_BYTES);
  const at = VIRTIO_HEADER_BYTES + transportAt;
  if (transport === TCP) frame[at + 12] = 0x50;
  else putWord16(frame, at + 4, frame.length - at);
  return writeFrom(fd, addressOf(frame), frame.length) === frame.length;
}

function ip4Header(transport: Transport, bytes: number): { etherType: number; header: Uint8Array } {
  const header = new Uint8Array(IP4_BYTES);
  header.set([0x45, 0, 0, 0, 0, 0, 0, 0, 1, transport.protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
  putWord16(header, 2, IP4_BYTES + bytes);
  putWord16(header, 10, checksum(header, 0, IP4_BYTES));
  return { etherType: 0x0800, header };
}

function ip6Header(transport: Transport, bytes: number): { etherType: number; header: Uint8Array } {
  const header = new Uint8Array(IP6_BYTES);
  header.set([0x60, 0, 0, 0, 0, 0, transport.protocol, 1]);
  putWord16(header, 4, bytes);
  // 2001:db8::1 to 2001:db8::2
  for (const [at, last] of [
    [8, 1],
    [24, 2],
  ] as const) {
    header.set([0x20, 0x01, 0x0d, 0xb8], at);
    header[at + 15] = last;
  }
  return { etherType: 0x86dd, header };
}
