import koffi from 'koffi';

/**
 * libc as node itself has it loaded (glibc or musl): no library is searched by name.
 * Addresses are declared `uintptr_t`, so that they travel as plain numbers and a call allocates no BigInt.
 * `open`, `fcntl` and `ioctl` are variadic in C; on x86-64 and arm64 Linux integer varargs travel like fixed arguments.
 * koffi's asynchronous calls are never used: one costs as much as hundreds of synchronous ones.
 */
const libc = koffi.load(null);

export const cOpen: (path: string, flags: number, mode: number) => number = libc.func('open', 'int', [
  'const char *',
  'int',
  'int',
]);
export const cClose: (fd: number) => number = libc.func('close', 'int', ['int']);
export const cRead: (fd: number, address: number, length: number) => number = libc.func('read', 'intptr_t', [
  'int',
  'uintptr_t',
  'size_t',
]);
export const cWrite: (fd: number, address: number, length: number) => number = libc.func(
  'write',
  'intptr_t',
  ['int', 'uintptr_t', 'size_t'],
);
export const cPoll: (address: number, count: number, timeoutMs: number) => number = libc.func('poll', 'int', [
  'uintptr_t',
  'ulong',
  'int',
]);
export const cEventfd: (initial: number, flags: number) => number = libc.func('eventfd', 'int', [
  'uint',
  'int',
]);
export const cFcntl: (fd: number, command: number, argument: number) => number = libc.func('fcntl', 'int', [
  'int',
  'int',
  'int',
]);
export const cIoctl: (fd: number, request: number, address: number) => number = libc.func('ioctl', 'int', [
  'int',
  'ulong',
  'uintptr_t',
]);
export const cSocket: (family: number, type: number, protocol: number) => number = libc.func(
  'socket',
  'int',
  ['int', 'int', 'int'],
);

/** errno of this thread's last failed call. */
export const lastErrno: () => number = () => koffi.errno();

/** Address of a view's first byte. The caller answers for the memory not moving. */
export function rawAddress(view: Uint8Array): number {
  return Number(koffi.address(view));
}
