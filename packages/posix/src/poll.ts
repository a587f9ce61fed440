import { EINTR, systemCallError } from './errno.ts';
import { cPoll, lastErrno } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';

// asm-generic/poll.h
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;

/** struct pollfd { int fd; short events; short revents; } */
const POLLFD_BYTES = 8;

/** A fixed set of descriptors to sleep on; its array is laid out once, so that waiting allocates nothing. */
export class PollSet {
  readonly #count: number;
  readonly #address: number;
  /** As int16: descriptor low and high half, events, revents of each entry. Keeps the memory behind `#address` alive. */
  readonly #halves: Int16Array;

  constructor(entries: readonly { readonly fd: number; readonly events: number }[]) {
    const bytes = stableBytes(Math.max(1, entries.length) * POLLFD_BYTES);
    const words = new Int32Array(bytes.buffer);
    this.#halves = new Int16Array(bytes.buffer);
    this.#count = entries.length;
    this.#address = addressOf(bytes);
    for (const [index, entry] of entries.entries()) {
      words[index * 2] = entry.fd;
      this.#halves[index * 4 + 2] = entry.events;
    }
  }

  /**
   * Sleeps until a descriptor is ready or `timeoutMs` passed (-1: for ever). Returns how many are ready; a signal counts as
   * none. Throws SystemError.
   */
  wait(timeoutMs: number): number {
    const ready = cPoll(this.#address, this.#count, timeoutMs);
    if (ready >= 0) return ready;
    const errno = lastErrno();
    if (errno !== EINTR) throw systemCallError('poll', errno);
    // The kernel leaves revents as they were when a signal interrupts.
    for (let index = 0; index < this.#count; index++) this.#halves[index * 4 + 3] = 0;
    return 0;
  }

  /** Another descriptor for entry `index`; a negative one is passed over (poll(2)). */
  setFd(index: number, fd: number): void {
    this.#halves[index * 4] = fd;
    this.#halves[index * 4 + 1] = fd >> 16;
  }

  /** The events (POLLIN, POLLERR, ...) that the last wait found on entry `index`; 0 for none. */
  ready(index: number): number {
    return this.#halves[index * 4 + 3] ?? 0;
  }
}
