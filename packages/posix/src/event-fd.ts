import { check, EAGAIN, systemCallError } from './errno.ts';
import { closeFd, readInto, writeFrom } from './file.ts';
import { cEventfd } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';

// sys/eventfd.h: the same bits as O_NONBLOCK and O_CLOEXEC
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;
/** An eventfd counter is a native 64-bit integer (eventfd(2)). */
const COUNTER_BYTES = 8;

/**
 * A wake-up bell between threads that one side can poll(2). The descriptor is shared by its number: the thread that made it
 * closes it, others attach to it.
 */
export class EventFd {
  readonly fd: number;
  /** What signal writes: the number one. */
  readonly #one: Uint8Array;
  readonly #oneAddress: number;
  /** Where clear puts the counter. */
  readonly #counter: Uint8Array;
  readonly #counterAddress: number;

  private constructor(fd: number) {
    this.fd = fd;
    const one = stableBytes(COUNTER_BYTES);
    new BigUint64Array(one.buffer)[0] = 1n;
    this.#one = one;
    this.#oneAddress = addressOf(this.#one);
    this.#counter = stableBytes(COUNTER_BYTES);
    this.#counterAddress = addressOf(this.#counter);
  }

  /** A new eventfd, non-blocking, close-on-exec. Throws SystemError. */
  static create(): EventFd {
    return new EventFd(check(cEventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 'create eventfd'));
  }

  /** The same eventfd in another thread of this process. */
  static attach(fd: number): EventFd {
    return new EventFd(fd);
  }

  /** Rings: whoever polls the descriptor wakes. Throws SystemError. */
  signal(): void {
    const result = writeFrom(this.fd, this.#oneAddress, COUNTER_BYTES);
    // EAGAIN means that 2^64-2 rings are pending: the bell rings anyway.
    if (result < 0 && result !== -EAGAIN) throw systemCallError('signal eventfd', -result);
  }

  /** Silences the bell. Returns whether it had been rung since the last call. Throws SystemError. */
  clear(): boolean {
    const result = readInto(this.fd, this.#counterAddress, COUNTER_BYTES);
    if (result < 0 && result !== -EAGAIN) throw systemCallError('clear eventfd', -result);
    return result > 0;
  }

  /** Closes the descriptor for every thread; only the creator calls it, after the others ended. */
  close(): void {
    closeFd(this.fd);
  }
}
