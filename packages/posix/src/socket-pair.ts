import { check } from './errno.ts';
import { closeFd } from './file.ts';
import { cSocketpair } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';

// bits/socket.h
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

/** Two non-blocking ends of a pipe that keeps the bounds of what is written to it, as a TAP device does. */
export interface SocketPair {
  readonly fds: readonly [number, number];
  close(): void;
}

/** Throws SystemError. */
export function socketPair(): SocketPair {
  const bytes = stableBytes(8);
  check(
    cSocketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, addressOf(bytes)),
    'open a socket pair',
  );
  const [near = -1, far = -1] = new Int32Array(bytes.buffer, 0, 2);
  return {
    fds: [near, far],
    close: () => {
      closeFd(near);
      closeFd(far);
    },
  };
}
