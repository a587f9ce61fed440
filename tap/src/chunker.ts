import { checksum } from './checksum.ts';
import {
  CHUNK_ECN,
  CHUNK_FRAGMENT,
  CHUNK_HEADER_BYTES,
  CHUNK_LAST,
  CHUNK_NEEDS_CSUM,
  CHUNK_TCP,
  CHUNK_UDP,
  CHUNK_WHOLE,
  MIN_CHUNK_BYTES,
  writeChunkHeader,
} from './chunk.ts';
import { ETHERNET_HEADER_BYTES } from './frame.ts';
import { FrameHeaders, PROTOCOL_TCP, PROTOCOL_UDP, TCP_SEQUENCE_AT } from './frame-headers.ts';
import { LossyFlows } from './lossy-flows.ts';
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  newVirtioHeader,
  readVirtioHeader,
  VIRTIO_HEADER_BYTES,
  VIRTIO_NEEDS_CSUM,
} from './virtio-header.ts';
import { putWord16, word32 } from './wire-bytes.ts';

/**
 * Cuts what one read of the TAP device gave (virtio header and frame) into chunks. A TCP super-frame is cut at the chunk size, not at
 * the kernel's segment size: the receiver glues chunks before it hands them to its kernel, so only the fewest cuts count. But a chunk
 * that is lost takes a part of two segments along, and TCP repeats both: a flow that loses is cut at the bounds of its segments.
 */
export class Chunker {
  readonly #headers = new FrameHeaders();
  readonly #flows = new LossyFlows();
  readonly #virtio = newVirtioHeader();
  #data: Uint8Array = new Uint8Array(0);
  #frameAt = 0;
  #frameBytes = 0;
  #kind = CHUNK_WHOLE;
  #flags = 0;
  #gso = 0;
  /** Whether a chunk is to hold whole segments, where one fits. */
  #isAligned = false;
  /** Bytes that every chunk repeats. */
  #headerBytes = 0;
  #payloadBytes = 0;
  /** How much of the payload the chunks so far have taken. */
  #done = 0;
  #isDone = true;
  #id = 0;

  /**
   * Takes a virtio header and frame of together `length` bytes at `offset`; the bytes must stay as they are until next() returned 0.
   * Where the kernel left a checksum to be computed that the receiver could not find by itself, it is computed in place.
   * False, and no chunks, for what is not such a thing or is cut short.
   */
  begin(data: Uint8Array, offset: number, length: number): boolean {
    this.#isDone = true;
    const frameAt = offset + VIRTIO_HEADER_BYTES;
    const frameBytes = length - VIRTIO_HEADER_BYTES;
    if (frameBytes < ETHERNET_HEADER_BYTES) return false;
    readVirtioHeader(data, offset, this.#virtio);
    this.#data = data;
    this.#frameAt = frameAt;
    this.#frameBytes = frameBytes;
    this.#done = 0;
    this.#flags = 0;
    const gsoType = this.#virtio.gsoType & ~GSO_ECN;
    const isFit = gsoType === GSO_NONE ? this.#beginWhole() : this.#beginPieces(gsoType);
    this.#isDone = !isFit;
    return isFit;
  }

  /**
   * Writes the next chunk to `target` at `at` and returns its bytes, at most `maxChunkBytes` (not below MIN_CHUNK_BYTES); 0 when the
   * frame is done. `target` may be the buffer that holds the frame.
   */
  next(target: Uint8Array, at: number, maxChunkBytes: number): number {
    if (this.#isDone) return 0;
    const room = Math.max(maxChunkBytes, MIN_CHUNK_BYTES) - CHUNK_HEADER_BYTES;
    const piece = this.#headerBytes > 0 ? this.#pieceBytes(room - this.#headerBytes) : this.#wholeBytes(room);
    const isLast = this.#done + piece === this.#payloadBytes;
    const flags = isLast && this.#kind !== CHUNK_WHOLE ? this.#flags | CHUNK_LAST : this.#flags;
    writeChunkHeader(target, at, this.#kind, flags, this.#id, this.#done, this.#gso);
    const bytesAt = at + CHUNK_HEADER_BYTES;
    if (this.#headerBytes > 0) this.#copy(target, bytesAt, this.#frameAt, this.#headerBytes);
    this.#copy(target, bytesAt + this.#headerBytes, this.#frameAt + this.#headerBytes + this.#done, piece);
    this.#done += piece;
    this.#isDone = isLast;
    return CHUNK_HEADER_BYTES + this.#headerBytes + piece;
  }

  /** Whether the frame begun is not a super-frame. */
  get isWhole(): boolean {
    return this.#kind === CHUNK_WHOLE;
  }

  /** CHUNK_NEEDS_CSUM or 0 of a frame begun. */
  get flags(): number {
    return this.#flags;
  }

  #beginWhole(): boolean {
    this.#kind = CHUNK_WHOLE;
    this.#gso = 0;
    this.#headerBytes = 0;
    this.#payloadBytes = this.#frameBytes;
    if ((this.#virtio.flags & VIRTIO_NEEDS_CSUM) === 0) return true;
    if (this.#isChecksumDerivable()) {
      this.#flags = CHUNK_NEEDS_CSUM;
      // What TCP repeats comes alone as a rule.
      if (this.#headers.protocol === PROTOCOL_TCP) this.#noteFlow();
      return true;
    }
    return this.#finishChecksum();
  }

  #beginPieces(gsoType: number): boolean {
    const headers = this.#headers;
    const virtio = this.#virtio;
    if (!headers.parse(this.#data, this.#frameAt, this.#frameBytes)) return false;
    const isUdp = gsoType === GSO_UDP_L4;
    if (!isUdp && gsoType !== (headers.isIp6 ? GSO_TCPV6 : GSO_TCPV4)) return false;
    if (headers.protocol !== (isUdp ? PROTOCOL_UDP : PROTOCOL_TCP)) return false;
    if (virtio.gsoSize === 0 || headers.payloadAt >= this.#frameBytes) return false;
    this.#kind = isUdp ? CHUNK_UDP : CHUNK_TCP;
    this.#gso = virtio.gsoSize;
    this.#flags = CHUNK_NEEDS_CSUM | ((virtio.gsoType & GSO_ECN) !== 0 ? CHUNK_ECN : 0);
    this.#headerBytes = headers.payloadAt;
    this.#payloadBytes = this.#frameBytes - headers.payloadAt;
    this.#id = (this.#id + 1) & 0xffff;
    // A UDP segment is a datagram of the application's, of which a part is worth nothing.
    this.#isAligned = isUdp || this.#noteFlow();
    return true;
  }

  /** Notes what the TCP frame, whose headers were parsed, sends; true when its flow has lost something of late. */
  #noteFlow(): boolean {
    const headers = this.#headers;
    const bytes = this.#frameBytes - headers.payloadAt;
    // A bare acknowledgement repeats nothing.
    if (bytes === 0) return false;
    const sequence = word32(this.#data, this.#frameAt + headers.transportAt + TCP_SEQUENCE_AT);
    return this.#flows.note(headers.flowKey(this.#data, this.#frameAt), sequence, bytes);
  }

  #pieceBytes(room: number): number {
    const left = this.#payloadBytes - this.#done;
    if (left <= room) return left;
    return this.#isAligned && this.#gso <= room ? room - (room % this.#gso) : room;
  }

  /** A frame that does not fit becomes fragments. */
  #wholeBytes(room: number): number {
    const left = this.#payloadBytes - this.#done;
    if (left > room && this.#kind === CHUNK_WHOLE) {
      this.#kind = CHUNK_FRAGMENT;
      this.#id = (this.#id + 1) & 0xffff;
    }
    return Math.min(left, room);
  }

  /** Whether the receiver's own look at the headers finds the checksum that the kernel left open. */
  #isChecksumDerivable(): boolean {
    const headers = this.#headers;
    return (
      headers.parse(this.#data, this.#frameAt, this.#frameBytes) &&
      this.#virtio.checksumStart === headers.transportAt &&
      this.#virtio.checksumOffset === headers.checksumOffset
    );
  }

  /** Computes what the kernel left open, e.g. the inner checksum of a tunnel. */
  #finishChecksum(): boolean {
    const { checksumStart, checksumOffset } = this.#virtio;
    const field = checksumStart + checksumOffset;
    if (field + 2 > this.#frameBytes) return false;
    const sum = checksum(this.#data, this.#frameAt + checksumStart, this.#frameBytes - checksumStart);
    // A UDP checksum of zero would mean "none"; its other form in ones' complement is the same number (RFC 768). TCP may use either.
    putWord16(this.#data, this.#frameAt + field, sum === 0 ? 0xffff : sum);
    this.#data[this.#frameAt - VIRTIO_HEADER_BYTES] = this.#virtio.flags & ~VIRTIO_NEEDS_CSUM;
    return true;
  }

  #copy(target: Uint8Array, at: number, from: number, length: number): void {
    // Within one buffer no view has to be made, so that the hot path allocates nothing.
    if (target === this.#data) target.copyWithin(at, from, from + length);
    else target.set(this.#data.subarray(from, from + length), at);
  }
}
