/** Builders of super-frames for tests, and a naive model of what a kernel would make of them. */
import { checksum, foldSum, sumWords } from './checksum.ts';
import { MAC_A, MAC_SELF } from './test-frames.ts';
import { newVirtioHeader, VIRTIO_HEADER_BYTES, writeVirtioHeader } from './virtio-header.ts';
import { putWord16, putWord32, word16, word32 } from './wire-bytes.ts';

export interface SuperFrameFields {
  readonly isIp6?: boolean;
  readonly isUdp?: boolean;
  readonly hasVlan?: boolean;
  /** 32-bit words of IPv4 options. */
  readonly ipOptions?: number;
  /** An 8-byte destination options header of IPv6. */
  readonly hasExtension?: boolean;
  readonly tcpOptions?: number;
  readonly sequence?: number;
  readonly ip4Id?: number;
  readonly tcpFlags?: number;
  readonly gso: number;
  readonly payload: Uint8Array;
}

/** Virtio header and frame, as a read of TAP gives them. A payload no longer than `gso` makes no super-frame. */
export function superFrame(fields: SuperFrameFields): Uint8Array {
  const transport = fields.isUdp === true ? udpHeader(fields) : tcpHeader(fields);
  const network =
    fields.isIp6 === true ? ip6Header(fields, transport.length) : ip4Header(fields, transport.length);
  const type = fields.isIp6 === true ? [0x86, 0xdd] : [8, 0];
  const ethernet = [...MAC_SELF, ...MAC_A, ...(fields.hasVlan === true ? [0x81, 0, 0, 5] : []), ...type];
  const headerBytes = ethernet.length + network.length + transport.length;
  const frame = new Uint8Array(VIRTIO_HEADER_BYTES + headerBytes + fields.payload.length);
  const transportAt = ethernet.length + network.length;
  frame.set(ethernet, VIRTIO_HEADER_BYTES);
  frame.set(network, VIRTIO_HEADER_BYTES + ethernet.length);
  frame.set(transport, VIRTIO_HEADER_BYTES + transportAt);
  frame.set(fields.payload, VIRTIO_HEADER_BYTES + headerBytes);
  const isSuper = fields.payload.length > fields.gso;
  const virtio = newVirtioHeader();
  virtio.flags = 1;
  virtio.gsoType = !isSuper ? 0 : fields.isUdp === true ? 5 : fields.isIp6 === true ? 4 : 1;
  if (isSuper && fields.isUdp !== true && ((fields.tcpFlags ?? 0) & 0x80) !== 0) virtio.gsoType |= 0x80;
  virtio.gsoSize = isSuper ? fields.gso : 0;
  virtio.headerBytes = headerBytes;
  virtio.checksumStart = transportAt;
  virtio.checksumOffset = fields.isUdp === true ? 6 : 16;
  writeVirtioHeader(frame, 0, virtio);
  const at = VIRTIO_HEADER_BYTES + ethernet.length;
  const protocol = fields.isUdp === true ? 17 : 6;
  putWord16(
    frame,
    VIRTIO_HEADER_BYTES + transportAt + virtio.checksumOffset,
    naivePseudoSum(frame, at, fields.isIp6 === true, protocol, transport.length + fields.payload.length),
  );
  return frame;
}

function tcpHeader({ tcpOptions = 3, sequence = 1000, tcpFlags = 0x10 }: SuperFrameFields): Uint8Array {
  const header = new Uint8Array(20 + tcpOptions * 4).fill(1, 20);
  header.set([0x04, 0xd2, 0x16, 0x2e]);
  putWord32(header, 4, sequence);
  header[12] = (5 + tcpOptions) << 4;
  header[13] = tcpFlags;
  return header;
}

function udpHeader({ payload }: SuperFrameFields): Uint8Array {
  const header = Uint8Array.of(0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 0);
  putWord16(header, 4, 8 + payload.length);
  return header;
}

function ip4Header(fields: SuperFrameFields, transportBytes: number): Uint8Array {
  const words = 5 + (fields.ipOptions ?? 0);
  const header = new Uint8Array(words * 4).fill(1, 20);
  header.set([
    0x40 | words,
    0,
    0,
    0,
    0,
    0,
    0x40,
    0,
    64,
    fields.isUdp === true ? 17 : 6,
    0,
    0,
    172,
    31,
    0,
    10,
    172,
    31,
    0,
    1,
  ]);
  putWord16(header, 2, header.length + transportBytes + fields.payload.length);
  putWord16(header, 4, fields.ip4Id ?? 7);
  putWord16(header, 10, checksum(header, 0, header.length));
  return header;
}

function ip6Header(fields: SuperFrameFields, transportBytes: number): Uint8Array {
  const extension = fields.hasExtension === true ? [fields.isUdp === true ? 17 : 6, 0, 1, 4, 0, 0, 0, 0] : [];
  const header = new Uint8Array(40 + extension.length);
  const next = extension.length > 0 ? 60 : fields.isUdp === true ? 17 : 6;
  header.set([0x60, 0, 0, 0, 0, 0, next, 64, 0xfd]);
  header[23] = 10;
  header[24] = 0xfd;
  header[39] = 1;
  header.set(extension, 40);
  putWord16(header, 4, extension.length + transportBytes + fields.payload.length);
  return header;
}

function naivePseudoSum(
  frame: Uint8Array,
  at: number,
  isIp6: boolean,
  protocol: number,
  bytes: number,
): number {
  const addresses = isIp6 ? frame.slice(at + 8, at + 40) : frame.slice(at + 12, at + 20);
  return foldSum(sumWords(addresses, 0, addresses.length) + protocol + bytes);
}

/** One packet as an application's kernel would see it. */
export interface Segment {
  readonly sequence: number;
  readonly flags: number;
  readonly ip4Id: number;
  readonly payload: Uint8Array;
}

/** What a kernel makes of a virtio header and frame: its segments. Throws when a length or checksum lies. */
export function segmentsOf(written: Uint8Array): Segment[] {
  const gsoType = (written[1] ?? 0) & 0x7f;
  const gsoSize = new Uint16Array(written.slice(4, 6).buffer)[0] ?? 0;
  const checksumStart = new Uint16Array(written.slice(6, 8).buffer)[0] ?? 0;
  const checksumOffset = new Uint16Array(written.slice(8, 10).buffer)[0] ?? 0;
  const frame = written.subarray(VIRTIO_HEADER_BYTES);
  const networkAt = word16(frame, 12) === 0x8100 ? 18 : 14;
  const isIp6 = word16(frame, networkAt - 2) === 0x86dd;
  let transportAt = networkAt + (isIp6 ? 40 : ((frame[networkAt] ?? 0) & 15) * 4);
  let protocol = frame[networkAt + (isIp6 ? 6 : 9)] ?? 0;
  if (protocol === 60) {
    protocol = frame[transportAt] ?? 0;
    transportAt += 8;
  }
  const length = frame.length - networkAt;
  must(word16(frame, networkAt + (isIp6 ? 4 : 2)) === (isIp6 ? length - 40 : length), 'IP length');
  if (!isIp6) must(checksum(frame, networkAt, ((frame[networkAt] ?? 0) & 15) * 4) === 0, 'IP checksum');
  must(checksumStart === transportAt && checksumOffset === (protocol === 6 ? 16 : 6), 'checksum place');
  const sum = naivePseudoSum(frame, networkAt, isIp6, protocol, frame.length - transportAt);
  must(word16(frame, transportAt + checksumOffset) === sum, 'pseudo-header sum');
  if (protocol === 17) must(word16(frame, transportAt + 4) === frame.length - transportAt, 'UDP length');
  const payloadAt = transportAt + (protocol === 6 ? ((frame[transportAt + 12] ?? 0) >> 4) * 4 : 8);
  const payload = frame.slice(payloadAt);
  must(gsoType === 0 || payload.length > gsoSize, 'super-frame of one segment');
  const size = gsoType === 0 ? Math.max(1, payload.length) : gsoSize;
  const flags = protocol === 6 ? (frame[transportAt + 13] ?? 0) : 0;
  must(((written[1] ?? 0) & 0x80) === 0 || (flags & 0x80) !== 0, 'ECN without CWR');
  const segments: Segment[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const isLast = at + size >= payload.length;
    segments.push({
      sequence: protocol === 6 ? (word32(frame, transportAt + 4) + at) >>> 0 : 0,
      flags: flags & (isLast ? 0xff : ~0x09) & (at === 0 ? 0xff : ~0x80),
      ip4Id: isIp6 ? 0 : (word16(frame, networkAt + 4) + at / size) & 0xffff,
      payload: payload.slice(at, at + size),
    });
  }
  return segments;
}

function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`${what} is wrong`);
}
