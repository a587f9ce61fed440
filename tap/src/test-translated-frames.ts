/** A builder of IPv4 frames with all their checksums computed from scratch, for tests of translation. */
import { checksum, foldSum, sumWords } from './checksum.ts';
import { MAC_A, MAC_SELF } from './test-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { putWord16 } from './wire-bytes.ts';

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;

/** An IPv4 packet; its addresses are given apart, so that the same packet can be built with others. */
export interface PacketShape {
  readonly protocol: number;
  /** 32-bit words of IP options. */
  readonly options: number;
  /** In units of 8 bytes; beyond 0 there is no transport header. */
  readonly fragmentOffset: number;
  /** 'partial': the sum of the pseudo-header alone, as with NEEDS_CSUM; 'none': UDP's zero; of TCP as 'complete'. */
  readonly sum: 'complete' | 'partial' | 'none';
  /** Behind the transport header; of ICMP, behind its first 8 bytes. */
  readonly payload: Uint8Array;
  /** Of ICMP: what an error quotes before the payload, cut to so many bytes; then its type is 3, else 8. */
  readonly quote?: { readonly shape: PacketShape; readonly bytes: number };
}

export interface Addresses {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export function packet(shape: PacketShape, { from, to }: Addresses, quoted?: Addresses): Uint8Array {
  const transport =
    shape.fragmentOffset > 0
      ? shape.payload
      : shape.protocol === ICMP
        ? icmp(shape, quoted ?? { from, to })
        : withPorts(shape, from, to);
  const headerBytes = 20 + shape.options * 4;
  const bytes = new Uint8Array(headerBytes + transport.length).fill(1, 20, headerBytes);
  bytes[0] = 0x40 | (headerBytes / 4);
  putWord16(bytes, 2, bytes.length);
  putWord16(bytes, 6, shape.fragmentOffset);
  bytes[8] = 64;
  bytes[9] = shape.protocol;
  bytes.set(from, 12);
  bytes.set(to, 16);
  putWord16(bytes, 10, checksum(bytes, 0, headerBytes));
  bytes.set(transport, headerBytes);
  return bytes;
}

/** Virtio header and frame, behind `lead` other bytes; `etherType` and payload are given. */
export function framed(
  etherType: number,
  payload: Uint8Array,
  isPartial: boolean,
  hasVlan: boolean,
): Uint8Array {
  const tag = hasVlan ? [0x81, 0, 0, 5] : [];
  const virtio = new Uint8Array(VIRTIO_HEADER_BYTES);
  virtio[0] = isPartial ? 1 : 0;
  return Uint8Array.from([
    ...virtio,
    ...MAC_SELF,
    ...MAC_A,
    ...tag,
    etherType >> 8,
    etherType & 0xff,
    ...payload,
  ]);
}

function withPorts(shape: PacketShape, from: Uint8Array, to: Uint8Array): Uint8Array {
  const headerBytes = shape.protocol === TCP ? 20 : 8;
  const bytes = new Uint8Array(headerBytes + shape.payload.length);
  bytes.set([0x12, 0x34, 0x56, 0x78]);
  if (shape.protocol === TCP) bytes[12] = 0x50;
  else putWord16(bytes, 4, bytes.length);
  bytes.set(shape.payload, headerBytes);
  const hasSum = shape.protocol === TCP || (shape.protocol === UDP && shape.sum !== 'none');
  if (!hasSum) return bytes;
  const pseudo = sumWords(from, 0, 4) + sumWords(to, 0, 4) + shape.protocol + bytes.length;
  const sum =
    shape.sum === 'partial' ? foldSum(pseudo) : ~foldSum(pseudo + sumWords(bytes, 0, bytes.length)) & 0xffff;
  putWord16(bytes, shape.protocol === TCP ? 16 : 6, shape.protocol === UDP && sum === 0 ? 0xffff : sum);
  return bytes;
}

function icmp({ quote, payload }: PacketShape, quoted: Addresses): Uint8Array {
  const inner = quote === undefined ? [] : packet(quote.shape, quoted).slice(0, quote.bytes);
  const bytes = Uint8Array.from([quote === undefined ? 8 : 3, 0, 0, 0, 0, 1, 0, 2, ...inner, ...payload]);
  putWord16(bytes, 2, checksum(bytes, 0, bytes.length));
  return bytes;
}
