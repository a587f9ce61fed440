import { check } from './errno.ts';
import { cClose, cFcntl, cOpen, cRead, cWrite, lastErrno } from './libc.ts';

// asm-generic/fcntl.h (x86-64 and arm64 agree on these)
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
/** Set on every descriptor we open: a child process that inherited a TAP descriptor would keep the device alive. */
export const O_CLOEXEC = 0o2000000;
const F_GETFL = 3;
const F_SETFL = 4;

/** Opens an existing file close-on-exec. Throws SystemError. */
export function openFile(path: string, flags: number): number {
  return check(cOpen(path, flags | O_CLOEXEC, 0), `open ${path}`);
}

/** Closes a descriptor. Throws SystemError. */
export function closeFd(fd: number): void {
  check(cClose(fd), `close descriptor ${fd}`);
}

/** Makes reads and writes of a descriptor return EAGAIN instead of blocking. Throws SystemError. */
export function setNonBlocking(fd: number): void {
  const flags = check(cFcntl(fd, F_GETFL, 0), `read flags of descriptor ${fd}`);
  check(cFcntl(fd, F_SETFL, flags | O_NONBLOCK), `make descriptor ${fd} non-blocking`);
}

/** Hot call: read(2) into memory at `address`. Returns the bytes read, or -errno. Never throws, never allocates. */
export function readInto(fd: number, address: number, length: number): number {
  const result = cRead(fd, address, length);
  return result < 0 ? -lastErrno() : result;
}

/** Hot call: write(2) from memory at `address`. Returns the bytes written, or -errno. Never throws, never allocates. */
export function writeFrom(fd: number, address: number, length: number): number {
  const result = cWrite(fd, address, length);
  return result < 0 ? -lastErrno() : result;
}
