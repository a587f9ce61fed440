import { BugError } from '@kith/base';
import { type HotMemory, hotMemory, putPointer } from './hot-memory.ts';
import { cRecvmmsg, lastErrno } from './libc.ts';
import {
  CMSG_HEADER_BYTES,
  CMSG_SMALL_SPACE,
  CONTROL,
  CONTROL_LENGTH,
  FLAGS,
  IOVEC_BYTES,
  IOVEC_WORDS,
  MMSGHDR_BYTES,
  MMSGHDR_WORDS,
  MOVED,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NAME,
  NAME_LENGTH,
  VECTOR,
  VECTOR_LENGTH,
} from './message-header.ts';
import { SOCKADDR_BYTES } from './sockaddr.ts';

// asm-generic/socket.h, linux/udp.h
const SOL_SOCKET = 1;
const SO_RXQ_OVFL = 40;
const SOL_UDP = 17;
const UDP_GRO = 104;
/** UIO_MAXIOV of linux/uio.h. */
const MOST_SLOTS = 1024;
/** A sockaddr, rounded up so that each one is aligned. */
const NAME_STRIDE = 32;
/** The two control messages that our sockets ask for: UDP_GRO and SO_RXQ_OVFL. */
const CONTROL_BYTES = 2 * CMSG_SMALL_SPACE;
/** The least that a cmsghdr with a 32-bit value takes. */
const CMSG_U32_BYTES = CMSG_HEADER_BYTES + 4;

/**
 * Receives datagrams of one socket into slots of the caller's memory, several per call, without allocating. With UDP_GRO a
 * slot may hold many datagrams of one sender: `segmentBytes` apart, the last one may be shorter. Give slots of 64 KiB then.
 */
export class DatagramReceiver {
  readonly slots: number;
  readonly slotBytes: number;
  readonly #fd: number;
  readonly #at: number;
  readonly #memory: HotMemory;
  readonly #words: Uint32Array;
  readonly #signed: Int32Array;
  readonly #controlsAt: number;
  readonly #names: readonly Uint8Array[];
  readonly #segments: Uint32Array;
  #dropped = 0;

  /** Slots lie one behind the other in `memory` from `at` on. Throws BugError when they do not fit. */
  constructor(fd: number, memory: HotMemory, at: number, slots: number, slotBytes: number) {
    if (!(slots >= 1 && slots <= MOST_SLOTS) || at < 0 || at + slots * slotBytes > memory.bytes.length) {
      throw new BugError('POSIX_BAD_LENGTH', `${slots} receive slots of ${slotBytes} bytes do not fit`);
    }
    this.slots = slots;
    this.slotBytes = slotBytes;
    this.#fd = fd;
    this.#at = at;
    const vectorsAt = slots * MMSGHDR_BYTES;
    this.#controlsAt = vectorsAt + slots * IOVEC_BYTES;
    const namesAt = this.#controlsAt + slots * CONTROL_BYTES;
    this.#memory = hotMemory(namesAt + slots * NAME_STRIDE);
    const { bytes } = this.#memory;
    this.#words = new Uint32Array(bytes.buffer, 0, bytes.length / 4);
    this.#signed = new Int32Array(bytes.buffer, 0, bytes.length / 4);
    this.#segments = new Uint32Array(slots);
    this.#names = Array.from({ length: slots }, (_, slot) => {
      const nameAt = namesAt + slot * NAME_STRIDE;
      return bytes.subarray(nameAt, nameAt + SOCKADDR_BYTES);
    });
    for (let slot = 0; slot < slots; slot++) {
      const header = slot * MMSGHDR_WORDS;
      const vector = vectorsAt / 4 + slot * IOVEC_WORDS;
      putPointer(this.#words, header + NAME, this.#memory.address + namesAt + slot * NAME_STRIDE);
      putPointer(this.#words, header + VECTOR, this.#memory.address + vectorsAt + slot * IOVEC_BYTES);
      this.#words[header + VECTOR_LENGTH] = 1;
      putPointer(
        this.#words,
        header + CONTROL,
        this.#memory.address + this.#controlsAt + slot * CONTROL_BYTES,
      );
      putPointer(this.#words, vector, memory.address + at + slot * slotBytes);
      this.#words[vector + 2] = slotBytes;
      this.#rearm(slot);
    }
  }

  /**
   * Hot call: takes what is there, never waits. Returns the number of slots filled from slot 0 on, or -errno (EAGAIN when
   * nothing is there). What the slots held before is gone.
   */
  receive(): number {
    const filled = cRecvmmsg(this.#fd, this.#memory.address, this.slots, MSG_DONTWAIT, 0);
    if (filled < 0) return -lastErrno();
    for (let slot = 0; slot < filled; slot++) {
      this.#readControl(slot);
      this.#rearm(slot);
    }
    return filled;
  }

  /** Where slot `slot` starts in the caller's memory. */
  at(slot: number): number {
    return this.#at + slot * this.slotBytes;
  }

  /** Bytes that the last receive put into a slot. */
  length(slot: number): number {
    return this.#words[slot * MMSGHDR_WORDS + MOVED] ?? 0;
  }

  /** Size of each datagram in a slot but the last; 0 when the slot holds a single datagram. */
  segmentBytes(slot: number): number {
    return this.#segments[slot] ?? 0;
  }

  /** Whether the datagram in a slot was longer than the slot: what is there is not all of it. */
  truncated(slot: number): boolean {
    return ((this.#words[slot * MMSGHDR_WORDS + FLAGS] ?? 0) & MSG_TRUNC) !== 0;
  }

  /** The sender of a slot as a sockaddr of 28 bytes, in memory that the next receive overwrites. */
  source(slot: number): Uint8Array {
    const name = this.#names[slot];
    if (name === undefined) throw new BugError('POSIX_NO_SLOT', `there is no receive slot ${slot}`);
    return name;
  }

  /** Datagrams that the socket has lost for want of buffer, modulo 2^32, as far as the kernel told (SO_RXQ_OVFL). */
  get dropped(): number {
    return this.#dropped;
  }

  /** The kernel shortens these two to what it wrote. */
  #rearm(slot: number): void {
    const header = slot * MMSGHDR_WORDS;
    this.#words[header + NAME_LENGTH] = SOCKADDR_BYTES;
    this.#words[header + CONTROL_LENGTH] = CONTROL_BYTES;
  }

  #readControl(slot: number): void {
    let segmentBytes = 0;
    const length = this.#words[slot * MMSGHDR_WORDS + CONTROL_LENGTH] ?? 0;
    const start = this.#controlsAt + slot * CONTROL_BYTES;
    for (let at = start; at + CMSG_U32_BYTES <= start + length; at += CMSG_SMALL_SPACE) {
      const level = this.#signed[at / 4 + 2] ?? 0;
      const type = this.#signed[at / 4 + 3] ?? 0;
      const valueAt = (at + CMSG_HEADER_BYTES) / 4;
      if (level === SOL_UDP && type === UDP_GRO) segmentBytes = this.#signed[valueAt] ?? 0;
      else if (level === SOL_SOCKET && type === SO_RXQ_OVFL) this.#dropped = this.#words[valueAt] ?? 0;
    }
    // A slot no longer than one segment is one datagram.
    this.#segments[slot] = segmentBytes < this.length(slot) ? segmentBytes : 0;
  }
}
