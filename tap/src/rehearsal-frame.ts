import { MAC_BYTES } from './addresses.ts';
import { ETHERNET_HEADER_BYTES } from './frame.ts';
import {
  GSO_TCPV4,
  newVirtioHeader,
  VIRTIO_HEADER_BYTES,
  VIRTIO_NEEDS_CSUM,
  writeVirtioHeader,
} from './virtio-header.ts';
import { putWord16 } from './wire-bytes.ts';

/** Locally administered. */
const SENDER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const RECEIVER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

const IP_AT = VIRTIO_HEADER_BYTES + ETHERNET_HEADER_BYTES;
const IP_BYTES = 20;
/** With room for the time stamp that Linux sends. */
const TCP_BYTES = 32;
const HEADER_BYTES = ETHERNET_HEADER_BYTES + IP_BYTES + TCP_BYTES;

/**
 * Writes virtio header and frame to the start of `data`, as a read of TAP gives them: TCP over IPv4 between two documentation
 * addresses, a super-frame when it is longer than `mtu` allows.
 */
export function writeRehearsalFrame(data: Uint8Array, frameBytes: number, mtu: number): void {
  const isSuper = frameBytes - ETHERNET_HEADER_BYTES > mtu;
  const virtio = newVirtioHeader();
  virtio.flags = VIRTIO_NEEDS_CSUM;
  virtio.gsoType = isSuper ? GSO_TCPV4 : 0;
  virtio.gsoSize = isSuper ? mtu - IP_BYTES - TCP_BYTES : 0;
  virtio.headerBytes = HEADER_BYTES;
  virtio.checksumStart = ETHERNET_HEADER_BYTES + IP_BYTES;
  virtio.checksumOffset = 16;
  data.fill(0, 0, VIRTIO_HEADER_BYTES + HEADER_BYTES);
  writeVirtioHeader(data, 0, virtio);
  data.set(RECEIVER_MAC, VIRTIO_HEADER_BYTES);
  data.set(SENDER_MAC, VIRTIO_HEADER_BYTES + MAC_BYTES);
  putWord16(data, IP_AT - 2, 0x0800);
  data[IP_AT] = 0x45;
  putWord16(data, IP_AT + 2, frameBytes - ETHERNET_HEADER_BYTES);
  data[IP_AT + 8] = 64;
  data[IP_AT + 9] = 6;
  // RFC 5737
  data.set([192, 0, 2, 1, 192, 0, 2, 2], IP_AT + 12);
  data[IP_AT + IP_BYTES + 12] = (TCP_BYTES / 4) << 4;
  // ACK, and options that are padding.
  data[IP_AT + IP_BYTES + 13] = 0x10;
  data.fill(1, IP_AT + IP_BYTES + 20, IP_AT + IP_BYTES + TCP_BYTES);
}
