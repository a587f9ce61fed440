/**
 * struct virtio_net_hdr of linux/virtio_net.h, which stands before each frame of a TAP opened with IFF_VNET_HDR: flags u8, gso_type u8,
 * hdr_len u16, gso_size u16, csum_start u16, csum_offset u16. 10 bytes in the machine's own byte order (TUNSETVNETLE is not used).
 * On a TAP all offsets count from the first byte of the Ethernet header.
 */
export const VIRTIO_HEADER_BYTES = 10;

/** The transport checksum holds the sum of the pseudo-header only and covers everything from csum_start to the end. */
export const VIRTIO_NEEDS_CSUM = 1;
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** UDP segmentation (USO), Linux 6.2. */
export const GSO_UDP_L4 = 5;
/** The first segment carries CWR, and only the first (RFC 3168). */
export const GSO_ECN = 0x80;

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export interface VirtioHeader {
  flags: number;
  gsoType: number;
  headerBytes: number;
  gsoSize: number;
  checksumStart: number;
  checksumOffset: number;
}

export function newVirtioHeader(): VirtioHeader {
  return { flags: 0, gsoType: 0, headerBytes: 0, gsoSize: 0, checksumStart: 0, checksumOffset: 0 };
}

/** Fills `header` from the 10 bytes at `at`; allocates nothing. */
export function readVirtioHeader(data: Uint8Array, at: number, header: VirtioHeader): void {
  header.flags = data[at] ?? 0;
  header.gsoType = data[at + 1] ?? 0;
  header.headerBytes = nativeWord(data, at + 2);
  header.gsoSize = nativeWord(data, at + 4);
  header.checksumStart = nativeWord(data, at + 6);
  header.checksumOffset = nativeWord(data, at + 8);
}

export function writeVirtioHeader(data: Uint8Array, at: number, header: VirtioHeader): void {
  data[at] = header.flags;
  data[at + 1] = header.gsoType;
  putNativeWord(data, at + 2, header.headerBytes);
  putNativeWord(data, at + 4, header.gsoSize);
  putNativeWord(data, at + 6, header.checksumStart);
  putNativeWord(data, at + 8, header.checksumOffset);
}

function nativeWord(data: Uint8Array, at: number): number {
  const first = data[at] ?? 0;
  const second = data[at + 1] ?? 0;
  return IS_LITTLE_ENDIAN ? first | (second << 8) : (first << 8) | second;
}

function putNativeWord(data: Uint8Array, at: number, value: number): void {
  data[at + (IS_LITTLE_ENDIAN ? 0 : 1)] = value;
  data[at + (IS_LITTLE_ENDIAN ? 1 : 0)] = value >>> 8;
}
