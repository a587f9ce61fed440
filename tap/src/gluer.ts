import {
  BUNDLE_RECORD_BYTES,
  CHUNK_BUNDLE,
  CHUNK_ECN,
  CHUNK_FRAGMENT,
  CHUNK_HEADER_BYTES,
  CHUNK_LAST,
  CHUNK_NEEDS_CSUM,
  CHUNK_TCP,
  CHUNK_UDP,
  CHUNK_WHOLE,
  MAX_OFFSET,
} from './chunk.ts';
import type { Counting, GluerCounter } from './counters.ts';
import type { Offload } from './device.ts';
import type { Fragments } from './fragments.ts';
import { ETHERNET_HEADER_BYTES } from './frame.ts';
import { FrameHeaders } from './frame-headers.ts';
import { SuperFrameHeaders } from './super-frame-headers.ts';
import {
  GSO_NONE,
  newVirtioHeader,
  VIRTIO_HEADER_BYTES,
  VIRTIO_NEEDS_CSUM,
  writeVirtioHeader,
} from './virtio-header.ts';
import { word16 } from './wire-bytes.ts';

/**
 * The virtio header is written into the bytes before a frame, where a chunk header or bundle record was: a chunk needs this much
 * more of writable memory in front of it.
 */
export const GLUER_HEADROOM = VIRTIO_HEADER_BYTES - CHUNK_HEADER_BYTES;

/** Pieces of one super-frame: 64 KiB in chunks of MIN_CHUNK_BYTES. More are written as a super-frame of their own. */
export const MAX_PIECES = 256;

/** UDP_MAX_SEGMENTS of kernels before 6.9; a UDP super-frame with more is refused by them (virtio_net_hdr_to_skb). */
const MAX_UDP_SEGMENTS = 64;

/** Called for each frame; see Gluer for what it can read. */
export type FrameSink = (link: number) => void;

/**
 * Makes frames of chunks and gives each to its sink, with a virtio header before it, ready for one writev to TAP. Chunks of one
 * super-frame that come one behind the other become one super-frame again, without moving a byte of payload: headers are rewritten
 * in the first chunk, the payloads of the others stay where they are, and the parts are listed.
 *
 * Nothing in a chunk is believed: headers are parsed here, offsets and lengths are checked, and what lies is dropped and counted.
 * Works on one buffer, whose content must stay until flush(); flush() ends what is being glued.
 */
export class Gluer {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #maxFrame: number;
  readonly #offload: Offload;
  readonly #counters: Counting<GluerCounter>;
  readonly #fragments: Fragments;
  readonly #sink: FrameSink;
  readonly #super = new SuperFrameHeaders();
  readonly #headers = new FrameHeaders();
  readonly #virtio = newVirtioHeader();

  /** The frame given to the sink: its buffer, and where its virtio header stands; the frame's headers follow directly. */
  memory: Uint8Array;
  frameAt = 0;
  /** Bytes of the whole frame without the virtio header. */
  frameBytes = 0;
  /** Whether its headers stand where those of the frame before it stood, rewritten: another segment of the same super-frame. */
  isContinued = false;
  /** The parts to write, in order; the first begins with the virtio header. */
  partCount = 0;
  partAt: Int32Array;
  partBytes: Int32Array;

  // What is being glued; #link < 0: nothing.
  #link = -1;
  #kind = 0;
  #flags = 0;
  #id = 0;
  #gso = 0;
  #chunkAt = 0;
  #firstOffset = 0;
  #nextOffset = 0;
  #headerBytes = 0;
  /** The first begins with the virtio header and holds the headers too. */
  #pieceCount = 0;
  readonly #pieceAt = new Int32Array(MAX_PIECES);
  readonly #pieceBytes = new Int32Array(MAX_PIECES);
  /** Parts of one segment, where TAP does not take super-frames: headers, and payload from as many pieces as it spans. */
  readonly #segmentAt = new Int32Array(MAX_PIECES);
  readonly #segmentBytes = new Int32Array(MAX_PIECES);

  /**
   * @param data the buffer in which accept() finds its chunks
   * @param maxFrame longest frame that TAP takes when it is not a super-frame; its segments are held to it too
   * @param offload which super-frames TAP takes; the others are cut into segments
   */
  constructor(
    data: Uint8Array,
    maxFrame: number,
    offload: Offload,
    fragments: Fragments,
    counters: Counting<GluerCounter>,
    sink: FrameSink,
  ) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.memory = data;
    this.partAt = this.#pieceAt;
    this.partBytes = this.#pieceBytes;
    this.#maxFrame = maxFrame;
    this.#offload = offload;
    this.#fragments = fragments;
    this.#counters = counters;
    this.#sink = sink;
  }

  /** Takes one chunk of a link. The GLUER_HEADROOM bytes before it, and the chunk itself, will be written to. */
  accept(link: number, at: number, length: number): void {
    if (length < CHUNK_HEADER_BYTES) {
      this.#malformed();
      return;
    }
    const kind = this.#data[at] ?? 0;
    if (kind === CHUNK_TCP || kind === CHUNK_UDP) {
      if (this.#link === link && this.#append(kind, at, length)) return;
      this.flush();
      if (!this.#beginPieces(link, kind, at, length)) this.#malformed();
      else if (((this.#data[at + 1] ?? 0) & CHUNK_LAST) !== 0) this.flush();
      return;
    }
    this.flush();
    if (kind === CHUNK_WHOLE) {
      this.#whole(
        link,
        this.#data,
        at + CHUNK_HEADER_BYTES,
        length - CHUNK_HEADER_BYTES,
        this.#data[at + 1] ?? 0,
      );
    } else if (kind === CHUNK_BUNDLE) {
      this.#bundle(link, at + CHUNK_HEADER_BYTES, at + length);
    } else if (kind === CHUNK_FRAGMENT) {
      this.#fragment(link, at, length);
    } else {
      this.#malformed();
    }
  }

  /** Gives what was glued so far to the sink. */
  flush(): void {
    if (this.#link < 0) return;
    const link = this.#link;
    this.#link = -1;
    const payloadBytes = this.#nextOffset - this.#firstOffset;
    if (this.#kind === CHUNK_UDP && !this.#hasWholeSegments(payloadBytes)) {
      this.#malformed();
      return;
    }
    const isLast = (this.#flags & CHUNK_LAST) !== 0;
    const takesIt = this.#kind === CHUNK_TCP ? this.#offload.tso : this.#offload.uso;
    this.memory = this.#data;
    this.frameAt = this.#chunkAt + CHUNK_HEADER_BYTES;
    if (payloadBytes > this.#gso && !takesIt) {
      this.#giveSegments(link, payloadBytes, isLast);
      return;
    }
    this.#super.rewrite(this.#data, this.#firstOffset, payloadBytes, isLast);
    this.partAt = this.#pieceAt;
    this.partBytes = this.#pieceBytes;
    this.partCount = this.#pieceCount;
    this.frameBytes = this.#headerBytes + payloadBytes;
    this.#sink(link);
  }

  /** Gives the segments to the sink one by one; each is the headers, rewritten for it, and a slice of the payload. */
  #giveSegments(link: number, payloadBytes: number, isLast: boolean): void {
    const headBytes = VIRTIO_HEADER_BYTES + this.#headerBytes;
    this.partAt = this.#segmentAt;
    this.partBytes = this.#segmentBytes;
    this.#segmentAt[0] = this.#pieceAt[0] ?? 0;
    this.#segmentBytes[0] = headBytes;
    let piece = 0;
    // How much of the piece is done; the first one has the headers before its payload.
    let done = headBytes;
    for (let at = 0; at < payloadBytes; at += this.#gso) {
      const segment = Math.min(this.#gso, payloadBytes - at);
      this.partCount = 1;
      for (let left = segment; left > 0; ) {
        const pieceBytes = this.#pieceBytes[piece] ?? 0;
        const take = Math.min(left, pieceBytes - done);
        this.#segmentAt[this.partCount] = (this.#pieceAt[piece] ?? 0) + done;
        this.#segmentBytes[this.partCount] = take;
        this.partCount++;
        left -= take;
        done += take;
        if (done < pieceBytes) continue;
        piece++;
        done = 0;
      }
      this.#super.rewrite(
        this.#data,
        this.#firstOffset + at,
        segment,
        isLast && at + segment === payloadBytes,
      );
      this.frameBytes = this.#headerBytes + segment;
      this.isContinued = at > 0;
      this.#sink(link);
    }
    this.isContinued = false;
  }

  /** Adds a piece that continues the one before it; false when it does not. */
  #append(kind: number, at: number, length: number): boolean {
    const view = this.#view;
    const payloadBytes = length - CHUNK_HEADER_BYTES - this.#headerBytes;
    if (payloadBytes <= 0 || this.#pieceCount === MAX_PIECES - 1) return false;
    if (this.#nextOffset + payloadBytes + this.#headerBytes > MAX_OFFSET) return false;
    const flags = view.getUint8(at + 1);
    const continues =
      kind === this.#kind &&
      ((flags ^ this.#flags) & (CHUNK_NEEDS_CSUM | CHUNK_ECN)) === 0 &&
      view.getUint16(at + 2) === this.#id &&
      view.getUint16(at + 4) === this.#nextOffset &&
      view.getUint16(at + 6) === this.#gso;
    if (!continues) return false;
    // Only the first chunk's headers go to the kernel, so that it does not matter what the others repeat of them. Ports and sequence number are looked
    // at, for an identifier that came round; to compare all 66 bytes of each chunk took 2 % of both cores in a plain stream.
    const transport = CHUNK_HEADER_BYTES + this.#super.transportAt;
    const first = this.#chunkAt + transport;
    const ours = at + transport;
    if (
      view.getInt32(first) !== view.getInt32(ours) ||
      view.getInt32(first + 4) !== view.getInt32(ours + 4)
    ) {
      return false;
    }
    this.#pieceAt[this.#pieceCount] = at + CHUNK_HEADER_BYTES + this.#headerBytes;
    this.#pieceBytes[this.#pieceCount] = payloadBytes;
    this.#pieceCount++;
    this.#nextOffset += payloadBytes;
    this.#flags = flags;
    if ((flags & CHUNK_LAST) !== 0) this.flush();
    return true;
  }

  #beginPieces(link: number, kind: number, at: number, length: number): boolean {
    const data = this.#data;
    const available = length - CHUNK_HEADER_BYTES;
    const gso = word16(data, at + 6);
    const offset = word16(data, at + 4);
    const frameAt = at + CHUNK_HEADER_BYTES;
    if (!this.#super.begin(data, frameAt, available, kind, gso, offset, this.#maxFrame)) return false;
    this.#link = link;
    this.#kind = kind;
    this.#flags = data[at + 1] ?? 0;
    this.#id = word16(data, at + 2);
    this.#gso = gso;
    this.#chunkAt = at;
    this.#firstOffset = offset;
    this.#headerBytes = this.#super.bytes;
    this.#nextOffset = offset + available - this.#headerBytes;
    this.#pieceAt[0] = at - GLUER_HEADROOM;
    this.#pieceBytes[0] = VIRTIO_HEADER_BYTES + available;
    this.#pieceCount = 1;
    return true;
  }

  /** Datagrams of a UDP super-frame are the application's: none may come out with other bounds than it went in. */
  #hasWholeSegments(payloadBytes: number): boolean {
    if (this.#firstOffset % this.#gso !== 0) return false;
    if (Math.ceil(payloadBytes / this.#gso) > MAX_UDP_SEGMENTS) return false;
    return (this.#flags & CHUNK_LAST) !== 0 || payloadBytes % this.#gso === 0;
  }

  #bundle(link: number, from: number, end: number): void {
    let at = from;
    while (at < end) {
      const frameAt = at + BUNDLE_RECORD_BYTES;
      const frameBytes = frameAt <= end ? word16(this.#data, at + 1) : 0;
      if (frameBytes === 0 || frameAt + frameBytes > end) {
        this.#malformed();
        return;
      }
      this.#whole(link, this.#data, frameAt, frameBytes, this.#data[at] ?? 0);
      at = frameAt + frameBytes;
    }
  }

  #fragment(link: number, at: number, length: number): void {
    const data = this.#data;
    const flags = data[at + 1] ?? 0;
    const isLast = (flags & CHUNK_LAST) !== 0;
    const fragments = this.#fragments;
    const result = fragments.add(
      link,
      data,
      at,
      length,
      word16(data, at + 2),
      word16(data, at + 4),
      flags & CHUNK_NEEDS_CSUM,
      isLast,
    );
    if (result < 0) this.#malformed();
    else if (result > 0)
      this.#whole(link, fragments.memory, fragments.frameAt, fragments.frameBytes, fragments.flags);
  }

  #whole(link: number, memory: Uint8Array, at: number, length: number, flags: number): void {
    if (length < ETHERNET_HEADER_BYTES) {
      this.#malformed();
      return;
    }
    if (length > this.#maxFrame) {
      this.#counters.add('dropped_oversize');
      return;
    }
    const virtio = this.#virtio;
    const headers = this.#headers;
    virtio.flags = 0;
    virtio.gsoType = GSO_NONE;
    virtio.gsoSize = 0;
    virtio.headerBytes = 0;
    virtio.checksumStart = 0;
    virtio.checksumOffset = 0;
    if ((flags & CHUNK_NEEDS_CSUM) !== 0) {
      if (!headers.parse(memory, at, length)) {
        this.#malformed();
        return;
      }
      virtio.flags = VIRTIO_NEEDS_CSUM;
      virtio.checksumStart = headers.transportAt;
      virtio.checksumOffset = headers.checksumOffset;
    }
    writeVirtioHeader(memory, at - VIRTIO_HEADER_BYTES, virtio);
    this.memory = memory;
    this.frameAt = at;
    this.frameBytes = length;
    this.partAt = this.#pieceAt;
    this.partBytes = this.#pieceBytes;
    this.partAt[0] = at - VIRTIO_HEADER_BYTES;
    this.partBytes[0] = VIRTIO_HEADER_BYTES + length;
    this.partCount = 1;
    this.#sink(link);
  }

  #malformed(): void {
    this.#counters.add('dropped_bad_chunk');
  }
}
