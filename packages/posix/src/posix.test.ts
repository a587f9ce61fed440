import { ConfigError, KithError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addressOf,
  assertInterfaceName,
  broadcastAddress,
  closeFd,
  EAGAIN,
  EventFd,
  errnoName,
  interfaceIndex,
  O_RDONLY,
  O_RDWR,
  openFile,
  openTap,
  POLLIN,
  POLLNVAL,
  PollSet,
  readInto,
  setNonBlocking,
  stableBytes,
  systemCallError,
  writeFrom,
} from './index.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof KithError ? error.code : `not ours: ${String(error)}`;
  }
  return 'no error';
}

test('a read writes at the address it was given and nowhere else', () => {
  const bytes = stableBytes(64).fill(7);
  const fd = openFile('/dev/zero', O_RDONLY);
  expect(readInto(fd, addressOf(bytes) + 16, 8)).toBe(8);
  closeFd(fd);
  expect([...bytes.subarray(14, 26)]).toEqual([7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7]);
});

test('addresses of views of one buffer differ by their offsets', () => {
  const bytes = stableBytes(4096);
  expect(addressOf(bytes.subarray(1000)) - addressOf(bytes)).toBe(1000);
});

test('memory that the collector may move has no address', () => {
  expect(codeOf(() => addressOf(new Uint8Array(32)))).toBe('POSIX_UNSTABLE_MEMORY');
});

test('hot calls answer with a negative errno', () => {
  expect(readInto(-1, addressOf(stableBytes(8)), 8)).toBe(-9);
  expect(writeFrom(-1, addressOf(stableBytes(8)), 8)).toBe(-9);
});

test('a refused call says what was attempted and names its errno', () => {
  expect(() => openFile('/nonexistent/x', O_RDWR)).toThrow('open /nonexistent/x: no such file');
  expect(codeOf(() => openFile('/nonexistent/x', O_RDWR))).toBe('ENOENT');
  expect(codeOf(() => closeFd(-1))).toBe('EBADF');
  expect(codeOf(() => interfaceIndex('no-such-device'))).toBe('ENODEV');
  expect(errnoName(77)).toBe('EBADFD');
  expect(systemCallError('x', 999).code).toBe('ERRNO_999');
});

test('an eventfd rings until it is cleared, and poll sees it', () => {
  const bell = EventFd.create();
  const poll = new PollSet([{ fd: bell.fd, events: POLLIN }]);
  expect(poll.wait(0)).toBe(0);
  expect(poll.ready(0)).toBe(0);
  EventFd.attach(bell.fd).signal();
  bell.signal();
  expect(poll.wait(-1)).toBe(1);
  expect(poll.ready(0) & POLLIN).toBe(POLLIN);
  expect(bell.clear()).toBe(true);
  expect(bell.clear()).toBe(false);
  expect(poll.wait(0)).toBe(0);
  bell.close();
});

test('poll tells the entries apart', () => {
  const quiet = EventFd.create();
  const rung = EventFd.create();
  rung.signal();
  const poll = new PollSet([quiet, rung, { fd: 1_000_000 }].map(({ fd }) => ({ fd, events: POLLIN })));
  expect(poll.wait(0)).toBe(2);
  expect([0, 1, 2].map((index) => poll.ready(index))).toEqual([0, POLLIN, POLLNVAL]);
  quiet.close();
  rung.close();
});

test('a descriptor can be made non-blocking', () => {
  const bell = EventFd.create();
  setNonBlocking(bell.fd);
  expect(readInto(bell.fd, addressOf(stableBytes(8)), 8)).toBe(-EAGAIN);
  bell.close();
});

test('interface names that Linux refuses or rewrites are refused before the kernel sees them', () => {
  for (const bad of ['', 'a'.repeat(16), 'a b', 'a/b', 'a:1', 'kith%d', '.', '..', 'ü', 'a\0b']) {
    expect(() => assertInterfaceName(bad)).toThrow(ConfigError);
    expect(codeOf(() => openTap(bad))).toBe('INTERFACE_NAME');
  }
  for (const good of ['kith0', 'a'.repeat(15), 'kith-demo.1']) assertInterfaceName(good);
});

test('a broadcast address has its network bits from the address and ones behind', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.integer({ min: 0, max: 32 }),
      (address, prefix) => {
        const number = (bytes: Uint8Array): bigint =>
          bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
        const hostBits = BigInt(32 - prefix);
        const broadcast = number(broadcastAddress(address, prefix));
        expect(broadcast >> hostBits).toBe(number(address) >> hostBits);
        expect(broadcast & ((1n << hostBits) - 1n)).toBe((1n << hostBits) - 1n);
      },
    ),
  );
});
