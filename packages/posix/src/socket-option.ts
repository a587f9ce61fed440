import { check } from './errno.ts';
import { cGetsockopt, cSetsockopt } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';

/** Sets an integer socket option. Throws SystemError. */
export function setSocketOption(
  fd: number,
  level: number,
  name: number,
  value: number,
  attempt: string,
): void {
  const bytes = stableBytes(4);
  new Int32Array(bytes.buffer)[0] = value;
  check(cSetsockopt(fd, level, name, addressOf(bytes), bytes.length), attempt);
}

/** The same, but a refusal is only answered: false. For options that a kernel or a lack of rights may deny. */
export function trySocketOption(fd: number, level: number, name: number, value: number): boolean {
  const bytes = stableBytes(4);
  new Int32Array(bytes.buffer)[0] = value;
  return cSetsockopt(fd, level, name, addressOf(bytes), bytes.length) === 0;
}

/** Reads an integer socket option. Throws SystemError. */
export function socketOption(fd: number, level: number, name: number, attempt: string): number {
  const bytes = stableBytes(8);
  const words = new Int32Array(bytes.buffer);
  words[1] = 4;
  const address = addressOf(bytes);
  check(cGetsockopt(fd, level, name, address, address + 4), attempt);
  return words[0] ?? 0;
}
