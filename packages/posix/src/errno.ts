import { getSystemErrorMap } from 'node:util';
import { SystemError } from '@kith/base';
import { lastErrno } from './libc.ts';

/** Errno numbers that callers tell apart (asm-generic/errno-base.h, asm-generic/errno.h). */
export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const EINVAL = 22;
export const EBADFD = 77;
export const EMSGSIZE = 90;
export const ENOBUFS = 105;

// asm-generic/errno.h; node's own table stops short of it, and it is what a TAP read says once the device is deleted.
const EXTRA_NAMES: ReadonlyMap<number, readonly [string, string]> = new Map([
  [EBADFD, ['EBADFD', 'file descriptor in bad state']],
]);

/** The name of an errno number, e.g. `EPERM`. */
export function errnoName(errno: number): string {
  return describe(errno)[0];
}

/**
 * The error of a refused system call: its code is the errno name (`EPERM`), its message says what was attempted.
 * `errno` is positive.
 */
export function systemCallError(attempt: string, errno: number): SystemError {
  const [name, message] = describe(errno);
  return new SystemError(name, `${attempt}: ${message} (${name})`);
}

/** Passes a call's result through, or throws what errno says about its failure. */
export function check(result: number, attempt: string): number {
  if (result < 0) throw systemCallError(attempt, lastErrno());
  return result;
}

function describe(errno: number): readonly [string, string] {
  return (
    getSystemErrorMap().get(-errno) ?? EXTRA_NAMES.get(errno) ?? [`ERRNO_${errno}`, `system error ${errno}`]
  );
}
