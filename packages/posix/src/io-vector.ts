import { BugError } from '@kith/base';
import { hotMemory, putPointer } from './hot-memory.ts';
import { cWritev, lastErrno } from './libc.ts';

/** struct iovec of bits/types/struct_iovec.h: address and length. */
const IOVEC_BYTES = 16;
const IOVEC_WORDS = IOVEC_BYTES / 4;
/** IOV_MAX of linux/uio.h (UIO_MAXIOV): writev answers EINVAL beyond it. */
const IOV_MAX = 1024;

/** Pieces of memory that one writev(2) writes as a whole. Hot calls; nothing is allocated after construction. */
export class IoVector {
  readonly capacity: number;
  readonly #address: number;
  readonly #words: Uint32Array;
  #count = 0;

  /** `capacity` counts pieces, 1 to 1024. */
  constructor(capacity: number) {
    if (!(capacity >= 1 && capacity <= IOV_MAX)) {
      throw new BugError('POSIX_BAD_LENGTH', `an I/O vector of ${capacity} pieces was asked for`);
    }
    this.capacity = capacity;
    const memory = hotMemory(capacity * IOVEC_BYTES);
    this.#address = memory.address;
    this.#words = new Uint32Array(memory.bytes.buffer, 0, capacity * IOVEC_WORDS);
  }

  get count(): number {
    return this.#count;
  }

  /** Forgets all pieces. */
  reset(): void {
    this.#count = 0;
  }

  /** Appends a piece, which must stay where it is until it was written. False: the vector is full, nothing was added. */
  add(address: number, length: number): boolean {
    if (this.#count === this.capacity) return false;
    const at = this.#count * IOVEC_WORDS;
    putPointer(this.#words, at, address);
    this.#words[at + 2] = length;
    this.#count++;
    return true;
  }

  /** Writes all pieces at once. Returns the bytes written, or -errno. Keeps the pieces. */
  writeTo(fd: number): number {
    const result = cWritev(fd, this.#address, this.#count);
    return result < 0 ? -lastErrno() : result;
  }
}
