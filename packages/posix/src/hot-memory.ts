import { BugError } from '@kith/base';
import { systemCallError } from './errno.ts';
import { cMmap, cMunmap, lastErrno, rawView } from './libc.ts';

// asm-generic/mman-common.h, linux/mman.h
const PROT_READ = 0x1;
const PROT_WRITE = 0x2;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
/** The largest page of the architectures we know (arm64 may use 64 KiB): a length in whole ones fits all of them. */
const PAGE_BYTES = 65_536;
/** V8 keeps integers below 2^31 inside the word that would point to a number, so such an address needs no heap object. */
const SMALL_INTEGER_LIMIT = 2 ** 31;
/**
 * Where to look for low memory: from 1.75 GiB down, far above a program loaded low and the heap that grows behind it. Each
 * thread fills its own stretch downwards; where it meets another's it goes on 32 MiB further down, at most 48 times.
 */
const HIGHEST_HINT = 0x7000_0000;
const HINT_STEP = 0x0200_0000;
const LOWEST_HINT = 0x1000_0000;

/** The end of the next mapping of this thread, if it is free. */
let nextEnd = HIGHEST_HINT;

/**
 * Zeroed memory for data that hot calls pass to the kernel or to OpenSSL at changing offsets. It lies below 2 GiB where the
 * kernel agrees: `address + offset` is then a small integer, so that passing it allocates nothing and converts fastest.
 */
export interface HotMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Address of the first byte. Add offsets to it freely. */
  readonly address: number;
}

/**
 * Maps at least `length` bytes of HotMemory; `bytes` is exactly `length` long. It belongs to the process until it ends: ask
 * for it once per buffer of a long-lived worker, never per packet or per link. Throws SystemError (ENOMEM).
 */
export function hotMemory(length: number): HotMemory {
  if (!Number.isSafeInteger(length) || length <= 0) {
    throw new BugError('POSIX_BAD_LENGTH', `hot memory of ${length} bytes was asked for`);
  }
  const mapped = Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;
  const address = mapLow(mapped);
  return { bytes: rawView(address, length), address };
}

function mapLow(length: number): number {
  for (let end = nextEnd; end - length >= LOWEST_HINT; end -= HINT_STEP) {
    // Without MAP_FIXED a hint whose range is taken is ignored, never overwritten (mmap(2)).
    const address = map(end - length, length);
    if (address + length <= SMALL_INTEGER_LIMIT) {
      nextEnd = address;
      return address;
    }
    cMunmap(address, length);
  }
  return map(0, length);
}

function map(hint: number, length: number): number {
  const address = cMmap(hint, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address < 0) throw systemCallError(`map ${length} bytes of memory`, lastErrno());
  return address;
}

/**
 * Writes an address as a C pointer: two native words of a little-endian 64-bit machine, which is what we run on. `index`
 * counts 32-bit words. A BigInt would be one store less and one allocation more.
 */
export function putPointer(words: Uint32Array, index: number, address: number): void {
  words[index] = address;
  words[index + 1] = address / 0x1_0000_0000;
}
