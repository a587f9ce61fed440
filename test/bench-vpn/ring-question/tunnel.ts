// The least that a tunnel needs to ask whether its threads should be split: super-frames from one TAP to one peer, cut into sealed
// datagrams and put together again. It trusts its peer and bears no loss; the real one is in the tap package.
import { randomBytes } from 'node:crypto';
import {
  AEAD_HEADER_BYTES,
  AEAD_TAG_BYTES,
  Aead,
  addressOf,
  DatagramReceiver,
  DatagramSender,
  EAGAIN,
  encodeSockaddr,
  hotMemory,
  IoVector,
  readInto,
  SOCKADDR_BYTES,
  stableBytes,
} from '@kith/posix';

/** What both ends of the tunnel and their threads are told. */
export interface TunnelStart {
  readonly shape: Shape;
  readonly interfaceName: string;
  readonly localIp: string;
  readonly peerIp: string;
  readonly port: number;
  /** 32 bytes as hex; left out for datagrams in the clear. */
  readonly key?: string;
}

/** `whole`: a thread takes a frame all the way. `split`: one thread does the TAP, another seals or opens, a ring between them. */
export type Shape = 'whole' | 'split';

export const PORT = 5999;

/** UDP payload that fills an Ethernet frame over IPv4. */
const DATAGRAM_BYTES = 1472;
const PIECE_HEADER_BYTES = 8;
const TEXT_AT = AEAD_HEADER_BYTES + PIECE_HEADER_BYTES;
const PIECE_BYTES = DATAGRAM_BYTES - TEXT_AT - AEAD_TAG_BYTES;
const IS_FIRST = 1;
const IS_LAST = 2;
/** virtio_net_hdr (10), Ethernet and the largest super-frame that the TAP is told to make. */
export const GSO_MAX_BYTES = 60_000;
export const FRAME_BYTES = 65_600;
const MOST_PIECES = Math.ceil(FRAME_BYTES / PIECE_BYTES);
export const RECEIVE_SLOTS = 4;
export const SLOT_BYTES = 65_536;
const FIXED_IV = new Uint8Array(4);

/** What went wrong, counted by all threads of a node in words that they share. */
export const DROPS = ['refused', 'forged', 'broken', 'ring_full', 'tap_refused'] as const;
/** The socket did not take a frame's datagrams. */
export const REFUSED = 0;
/** A datagram was not the peer's. */
export const FORGED = 1;
/** A piece of a frame was missing. */
export const BROKEN = 2;
/** A frame found the ring full. */
export const RING_FULL = 3;
/** The TAP device did not take a frame. */
export const TAP_REFUSED = 4;

/** A fresh key for `TunnelStart`. */
export function newKey(): string {
  return randomBytes(32).toString('hex');
}

/** Cuts frames, seals the pieces and sends all of a frame at once. */
export class Sealer {
  /** Where `fill` puts a frame, for who reads it here. */
  readonly frameAddress: number;
  readonly frameAt = MOST_PIECES * DATAGRAM_BYTES;
  readonly bytes: Uint8Array;
  readonly #drops: Int32Array;
  readonly #memory = hotMemory(MOST_PIECES * DATAGRAM_BYTES + FRAME_BYTES);
  readonly #aead: Aead | undefined;
  readonly #sender: DatagramSender;
  readonly #destination = stableBytes(SOCKADDR_BYTES);
  readonly #destinationAddress = addressOf(this.#destination);
  readonly #destinationBytes: number;

  constructor(socketFd: number, { peerIp, port, key }: TunnelStart, drops: Int32Array) {
    this.#drops = drops;
    this.bytes = this.#memory.bytes;
    this.frameAddress = this.#memory.address + this.frameAt;
    this.#sender = new DatagramSender(socketFd, 1);
    this.#destinationBytes = encodeSockaddr(4, peerIp, port, this.#destination);
    if (key !== undefined) {
      this.#aead = new Aead('aes-256-gcm', Buffer.from(key, 'hex'), FIXED_IV, 'seal', this.#memory);
    }
    for (let piece = 0; piece < MOST_PIECES; piece++) this.bytes[piece * DATAGRAM_BYTES] = 0xc0;
  }

  /** Sends the frame of `length` bytes at `at` in `source`, which may be this object's own `bytes`. */
  send(source: Uint8Array, at: number, length: number): void {
    const { bytes } = this;
    let end = 0;
    let done = 0;
    for (let piece = 0; done < length; piece++) {
      const start = piece * DATAGRAM_BYTES;
      const size = Math.min(PIECE_BYTES, length - done);
      if (source === bytes) bytes.copyWithin(start + TEXT_AT, at + done, at + done + size);
      else bytes.set(source.subarray(at + done, at + done + size), start + TEXT_AT);
      bytes[start + AEAD_HEADER_BYTES] = (done === 0 ? IS_FIRST : 0) | (done + size === length ? IS_LAST : 0);
      this.#aead?.seal(start, PIECE_HEADER_BYTES + size);
      done += size;
      end = start + TEXT_AT + size + AEAD_TAG_BYTES;
    }
    const segment = end > DATAGRAM_BYTES ? DATAGRAM_BYTES : 0;
    const { address } = this.#memory;
    if (this.#sender.send(this.#destinationAddress, this.#destinationBytes, address, end, segment) < 0)
      Atomics.add(this.#drops, REFUSED, 1);
  }
}

/** Takes a whole frame as pieces of memory. */
export interface FrameSink {
  /** The vector holds the pieces' addresses for writev; `bytes` and `piece(i)` tell where they are for who copies. */
  frame(pieces: Pieces): void;
}

/** The pieces of one frame in the receiver's memory. */
export class Pieces {
  readonly vector = new IoVector(MOST_PIECES + 1);
  readonly bytes: Uint8Array;
  readonly starts = new Int32Array(MOST_PIECES + 1);
  readonly lengths = new Int32Array(MOST_PIECES + 1);
  count = 0;
  length = 0;
  readonly #address: number;

  constructor(bytes: Uint8Array, address: number) {
    this.bytes = bytes;
    this.#address = address;
  }

  reset(): void {
    this.vector.reset();
    this.count = 0;
    this.length = 0;
  }

  add(at: number, length: number): void {
    if (!this.vector.add(this.#address + at, length)) return;
    this.starts[this.count] = at;
    this.lengths[this.count++] = length;
    this.length += length;
  }
}

/** Receives datagrams, opens them where they lie and gives out whole frames. */
export class Opener {
  readonly #drops: Int32Array;
  readonly #memory = hotMemory(RECEIVE_SLOTS * SLOT_BYTES);
  readonly #receiver: DatagramReceiver;
  readonly #aead: Aead | undefined;
  readonly #pieces = new Pieces(this.#memory.bytes, this.#memory.address);
  readonly #sink: FrameSink;

  constructor(socketFd: number, { key }: TunnelStart, sink: FrameSink, drops: Int32Array) {
    this.#drops = drops;
    this.#receiver = new DatagramReceiver(socketFd, this.#memory, 0, RECEIVE_SLOTS, SLOT_BYTES);
    this.#sink = sink;
    if (key !== undefined) {
      this.#aead = new Aead('aes-256-gcm', Buffer.from(key, 'hex'), FIXED_IV, 'open', this.#memory);
    }
  }

  /** Receives once. False when nothing was there. */
  receive(): boolean {
    const filled = this.#receiver.receive();
    // A frame does not outlive the memory that it lies in. It was one send, which is one GRO packet: it is never cut.
    if (this.#pieces.count > 0) Atomics.add(this.#drops, BROKEN, 1);
    this.#pieces.reset();
    for (let slot = 0; slot < filled; slot++) {
      const start = this.#receiver.at(slot);
      const length = this.#receiver.length(slot);
      const segment = this.#receiver.segmentBytes(slot) || length;
      for (let at = 0; at < length; at += segment) this.#open(start + at, Math.min(segment, length - at));
    }
    return filled > 0;
  }

  #open(at: number, length: number): void {
    const size = length - TEXT_AT - AEAD_TAG_BYTES;
    if (size <= 0 || this.#aead?.open(at, size + PIECE_HEADER_BYTES) === false) {
      Atomics.add(this.#drops, FORGED, 1);
      return;
    }
    const flags = this.#memory.bytes[at + AEAD_HEADER_BYTES] ?? 0;
    if ((flags & IS_FIRST) !== 0) {
      if (this.#pieces.count > 0) Atomics.add(this.#drops, BROKEN, 1);
      this.#pieces.reset();
    } else if (this.#pieces.count === 0) return;
    this.#pieces.add(at + TEXT_AT, size);
    if ((flags & IS_LAST) === 0) return;
    this.#sink.frame(this.#pieces);
    this.#pieces.reset();
  }
}

/** Reads one frame from a TAP to `address`: its length, 0 when there is none. */
export function readFrame(tapFd: number, address: number): number {
  const length = readInto(tapFd, address, FRAME_BYTES);
  if (length < 0 && length !== -EAGAIN) throw new Error(`reading the TAP device: errno ${-length}`);
  return Math.max(0, length);
}
