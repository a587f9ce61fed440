import { BugError } from '@kith/base';
import { type HotMemory, hotMemory, putPointer } from './hot-memory.ts';
import { cSendmmsg, cSendmsg, lastErrno } from './libc.ts';
import {
  CMSG_HEADER_BYTES,
  CMSG_SMALL_SPACE,
  CONTROL,
  CONTROL_LENGTH,
  IOVEC_BYTES,
  IOVEC_WORDS,
  MMSGHDR_BYTES,
  MMSGHDR_WORDS,
  MSG_DONTWAIT,
  NAME,
  NAME_LENGTH,
  VECTOR,
  VECTOR_LENGTH,
} from './message-header.ts';

// linux/udp.h
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
/** UIO_MAXIOV of linux/uio.h: sendmmsg takes no more messages at once (it silently cuts the rest off). */
const MOST_MESSAGES = 1024;
/** The single message of send stands in front of the queue's. */
const SINGLE = 0;

/**
 * Sends datagrams of one socket without allocating: the structures that the kernel reads are laid out once. Addresses are
 * those of hot or stable memory that stays put until the call returned (`send`) or the queue was flushed (`add`).
 */
export class DatagramSender {
  readonly capacity: number;
  readonly #fd: number;
  readonly #memory: HotMemory;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #vectorsAt: number;
  readonly #controlsAt: number;
  /** Queue positions: everything before `#next` was sent or given up, everything before `#end` was added. */
  #next = 0;
  #end = 0;

  /** `capacity`: messages that can wait for flush, 1 to 1024. */
  constructor(fd: number, capacity = 64) {
    if (!(capacity >= 1 && capacity <= MOST_MESSAGES)) {
      throw new BugError('POSIX_BAD_LENGTH', `a send queue of ${capacity} messages was asked for`);
    }
    this.capacity = capacity;
    this.#fd = fd;
    const messages = capacity + 1;
    this.#vectorsAt = messages * MMSGHDR_BYTES;
    this.#controlsAt = this.#vectorsAt + messages * IOVEC_BYTES;
    this.#memory = hotMemory(this.#controlsAt + messages * CMSG_SMALL_SPACE);
    const { buffer } = this.#memory.bytes;
    this.#words = new Uint32Array(buffer, 0, this.#memory.bytes.length / 4);
    this.#halves = new Uint16Array(buffer, 0, this.#memory.bytes.length / 2);
    for (let message = 0; message < messages; message++) this.#layOut(message);
  }

  /**
   * Hot call: sends `length` bytes to a sockaddr at once. With `segmentBytes` > 0 the kernel cuts them into datagrams of that
   * size, the last one may be shorter (UDP_SEGMENT: at most 64 datagrams before Linux 6.9, 65 507 bytes in all). Returns the
   * bytes sent, or -errno; EIO and EINVAL with segments mean that this path cannot do them.
   */
  send(
    sockaddrAddress: number,
    sockaddrLength: number,
    dataAddress: number,
    length: number,
    segmentBytes: number,
  ): number {
    this.#fill(SINGLE, sockaddrAddress, sockaddrLength, dataAddress, length, segmentBytes);
    const result = cSendmsg(this.#fd, this.#memory.address, MSG_DONTWAIT);
    return result < 0 ? -lastErrno() : result;
  }

  /** Messages that were added and neither sent nor dropped. */
  get pending(): number {
    return this.#end - this.#next;
  }

  /** Hot call: queues what `send` would send. False: the queue is full until it is flushed empty or cleared. */
  add(
    sockaddrAddress: number,
    sockaddrLength: number,
    dataAddress: number,
    length: number,
    segmentBytes: number,
  ): boolean {
    if (this.#end === this.capacity) return false;
    this.#end++;
    this.#fill(this.#end, sockaddrAddress, sockaddrLength, dataAddress, length, segmentBytes);
    return true;
  }

  /**
   * Hot call: sends queued messages in order until one is refused. Returns how many left, or -errno when the first pending
   * one was refused: drop() gives that one up, or try again later.
   */
  flush(): number {
    const count = this.#end - this.#next;
    if (count === 0) return 0;
    const at = (SINGLE + 1 + this.#next) * MMSGHDR_BYTES;
    const sent = cSendmmsg(this.#fd, this.#memory.address + at, count, MSG_DONTWAIT);
    if (sent < 0) return -lastErrno();
    this.#advance(sent);
    return sent;
  }

  /** Gives up the first pending message. */
  drop(): void {
    if (this.#next < this.#end) this.#advance(1);
  }

  /** Gives up all pending messages. */
  clear(): void {
    this.#next = 0;
    this.#end = 0;
  }

  #advance(count: number): void {
    this.#next += count;
    if (this.#next === this.#end) this.clear();
  }

  #layOut(message: number): void {
    const at = message * MMSGHDR_WORDS;
    const vectorAt = this.#vectorsAt + message * IOVEC_BYTES;
    const controlAt = this.#controlsAt + message * CMSG_SMALL_SPACE;
    const words = this.#words;
    putPointer(words, at + VECTOR, this.#memory.address + vectorAt);
    words[at + VECTOR_LENGTH] = 1;
    putPointer(words, at + CONTROL, this.#memory.address + controlAt);
    // CMSG_LEN(sizeof(u16)): the value of UDP_SEGMENT is 16 bits.
    words[controlAt / 4] = CMSG_HEADER_BYTES + 2;
    words[controlAt / 4 + 2] = SOL_UDP;
    words[controlAt / 4 + 3] = UDP_SEGMENT;
  }

  #fill(
    message: number,
    sockaddrAddress: number,
    sockaddrLength: number,
    dataAddress: number,
    length: number,
    segmentBytes: number,
  ): void {
    const words = this.#words;
    const at = message * MMSGHDR_WORDS;
    putPointer(words, at + NAME, sockaddrAddress);
    words[at + NAME_LENGTH] = sockaddrLength;
    const vector = this.#vectorsAt / 4 + message * IOVEC_WORDS;
    putPointer(words, vector, dataAddress);
    words[vector + 2] = length;
    if (segmentBytes === 0) {
      words[at + CONTROL_LENGTH] = 0;
    } else {
      words[at + CONTROL_LENGTH] = CMSG_SMALL_SPACE;
      const control = this.#controlsAt + message * CMSG_SMALL_SPACE;
      this.#halves[(control + CMSG_HEADER_BYTES) / 2] = segmentBytes;
    }
  }
}
