import { BugError } from '@kith/base';
import { rawAddress } from './libc.ts';

/**
 * Zeroed bytes whose address never changes while any view of them lives. They stand in a SharedArrayBuffer: V8 keeps small
 * ArrayBuffers inside its moving heap and may detach large ones, but never a shared one.
 */
export function stableBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/**
 * The address of a shared view's first byte, as a plain number: add offsets to it freely. Valid only while the caller keeps
 * the view (or its buffer) referenced.
 */
export function addressOf(view: Uint8Array): number {
  if (!(view.buffer instanceof SharedArrayBuffer)) {
    throw new BugError('POSIX_UNSTABLE_MEMORY', 'an address was asked of memory that may move');
  }
  const address = rawAddress(view);
  // User space ends below 2^47 on x86-64 and 2^48 on arm64 unless a process asks for more, so a double holds every address.
  if (!Number.isSafeInteger(address)) {
    throw new BugError('POSIX_ADDRESS_TOO_LARGE', `address ${address} does not fit a number`);
  }
  return address;
}
