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
export const cBind: (fd: number, address: number, length: number) => number = libc.func('bind', 'int', [
  'int',
  'uintptr_t',
  'uint',
]);
export const cGetsockname: (fd: number, address: number, lengthAddress: number) => number = libc.func(
  'getsockname',
  'int',
  ['int', 'uintptr_t', 'uintptr_t'],
);
export const cSetsockopt: (
  fd: number,
  level: number,
  name: number,
  address: number,
  length: number,
) => number = libc.func('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint']);
export const cGetsockopt: (
  fd: number,
  level: number,
  name: number,
  address: number,
  lengthAddress: number,
) => number = libc.func('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']);
export const cSendmsg: (fd: number, messageAddress: number, flags: number) => number = libc.func(
  'sendmsg',
  'intptr_t',
  ['int', 'uintptr_t', 'int'],
);
export const cSendmmsg: (fd: number, messagesAddress: number, count: number, flags: number) => number =
  libc.func('sendmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int']);
export const cRecvmmsg: (
  fd: number,
  messagesAddress: number,
  count: number,
  flags: number,
  timeoutAddress: number,
) => number = libc.func('recvmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int', 'uintptr_t']);
export const cWritev: (fd: number, vectorAddress: number, count: number) => number = libc.func(
  'writev',
  'intptr_t',
  ['int', 'uintptr_t', 'int'],
);
/** mmap with address and result as numbers; -1 (MAP_FAILED) on failure. */
export const cMmap: (
  hint: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number = libc.func('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
export const cMunmap: (address: number, length: number) => number = libc.func('munmap', 'int', [
  'uintptr_t',
  'size_t',
]);

export const cSchedYield: () => number = libc.func('sched_yield', 'int', []);
export const cSchedGetscheduler: (thread: number) => number = libc.func('sched_getscheduler', 'int', ['int']);
export const cSchedSetscheduler: (thread: number, policy: number, address: number) => number = libc.func(
  'sched_setscheduler',
  'int',
  ['int', 'int', 'uintptr_t'],
);
export const cClockGettime: (clock: number, address: number) => number = libc.func('clock_gettime', 'int', [
  'int',
  'uintptr_t',
]);
export const cSocketpair: (family: number, type: number, protocol: number, address: number) => number =
  libc.func('socketpair', 'int', ['int', 'int', 'int', 'uintptr_t']);

/** errno of this thread's last failed call. */
export const lastErrno: () => number = () => koffi.errno();

/** Address of a view's first byte. The caller answers for the memory not moving. */
export function rawAddress(view: Uint8Array): number {
  return Number(koffi.address(view));
}

/** Memory outside the JavaScript heap as bytes; nothing frees it when the view is collected. Ask once per piece of memory. */
export function rawView(address: number, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(koffi.view(BigInt(address), length));
}
