import { randomBytes } from 'node:crypto';
import { KithError } from '@kith/base';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import {
  addressOf,
  DatagramReceiver,
  DatagramSender,
  decodeSockaddr,
  EAGAIN,
  EMSGSIZE,
  encodeSockaddr,
  hotMemory,
  POLLIN,
  PollSet,
  SOCKADDR_BYTES,
  type SocketFamily,
  sameSockaddr,
  stableBytes,
  UdpSocket,
  type UdpSocketOptions,
} from './index.ts';

const SLOT_BYTES = 65_536;
const SLOTS = 4;
const outgoing = hotMemory(SLOT_BYTES);
const incoming = hotMemory(SLOTS * SLOT_BYTES);
/** What the loopback gets at most in one go (65 507 is the most that IPv4 allows). */
const MOST_BYTES = 65_000;
/** Loopback delivers before send returns; the time is for a machine that is very busy elsewhere. */
const ARRIVAL_MS = 5_000;

const open: UdpSocket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

function socket(options: Partial<UdpSocketOptions> = {}): UdpSocket {
  const made = UdpSocket.open({ port: 0, ...options });
  open.push(made);
  return made;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof KithError ? error.code : `not ours: ${String(error)}`;
  }
  return 'no error';
}

interface Destination {
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly length: number;
}

function destination(family: SocketFamily, ip: string, port: number): Destination {
  const bytes = stableBytes(SOCKADDR_BYTES);
  const length = encodeSockaddr(family, ip, port, bytes);
  return { bytes, address: addressOf(bytes), length };
}

function waitFor(receiving: UdpSocket): boolean {
  return new PollSet([{ fd: receiving.fd, events: POLLIN }]).wait(ARRIVAL_MS) === 1;
}

/** Everything that arrives until `count` datagrams are there, cut apart as the receiver says. */
function collect(receiving: UdpSocket, receiver: DatagramReceiver, count: number): Buffer[] {
  const found: Buffer[] = [];
  while (found.length < count && waitFor(receiving)) {
    const filled = receiver.receive();
    for (let slot = 0; slot < filled; slot++) {
      const length = receiver.length(slot);
      const step = receiver.segmentBytes(slot) || Math.max(1, length);
      const start = receiver.at(slot);
      if (length === 0) found.push(Buffer.alloc(0));
      for (let at = 0; at < length; at += step) {
        found.push(Buffer.from(incoming.bytes.subarray(start + at, start + Math.min(at + step, length))));
      }
    }
  }
  return found;
}

const paths = [
  { name: 'IPv4', family: 4, ip: '127.0.0.1' },
  { name: 'IPv6 on a dual socket', family: 'dual', ip: '::1' },
  { name: 'IPv4 on a dual socket', family: 'dual', ip: '127.0.0.1' },
] as const;

describe.each(paths)('$name', ({ family, ip }) => {
  test('one segmented send arrives as the same datagrams, 1 to 63 of them, the last one shorter', () => {
    const from = socket({ family });
    const to = socket({ family, bufferBytes: 4 * 2 ** 20 });
    expect(to.gro).toBe(true);
    const sender = new DatagramSender(from.fd);
    const receiver = new DatagramReceiver(to.fd, incoming, 0, SLOTS, SLOT_BYTES);
    const peer = destination(family, ip, to.port);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 63 }),
        fc.integer({ min: 8, max: 1452 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (segments, wanted, share) => {
          const size = Math.min(wanted, Math.floor(MOST_BYTES / segments));
          const last = Math.max(1, Math.round(size * share));
          const length = (segments - 1) * size + last;
          const data = randomBytes(length);
          outgoing.bytes.set(data);
          expect(sender.send(peer.address, peer.length, outgoing.address, length, size)).toBe(length);
          const found = collect(to, receiver, segments);
          expect(found.map((one) => one.length)).toEqual([...Array(segments - 1).fill(size), last]);
          expect(Buffer.concat(found).equals(data)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the sender is told from its port, and its address serves for the answer', () => {
    const one = socket({ family });
    const other = socket({ family });
    const receiver = new DatagramReceiver(other.fd, incoming, 0, 1, SLOT_BYTES);
    const back = new DatagramReceiver(one.fd, incoming, SLOT_BYTES, 1, SLOT_BYTES);
    const peer = destination(family, ip, other.port);
    outgoing.bytes.set(Buffer.from('question'));
    expect(new DatagramSender(one.fd).send(peer.address, peer.length, outgoing.address, 8, 0)).toBe(8);
    expect(waitFor(other)).toBe(true);
    expect(receiver.receive()).toBe(1);
    expect(receiver.length(0)).toBe(8);
    expect(receiver.segmentBytes(0)).toBe(0);
    const source = receiver.source(0);
    expect(decodeSockaddr(source)).toEqual({ ip, port: one.port });
    expect(sameSockaddr(source, destination(family, ip, one.port).bytes)).toBe(true);

    const answer = destination(family, ip, one.port);
    answer.bytes.set(source);
    outgoing.bytes.set(Buffer.from('answer'));
    new DatagramSender(other.fd).send(answer.address, answer.length, outgoing.address, 6, 0);
    expect(waitFor(one)).toBe(true);
    expect(back.receive()).toBe(1);
    expect(Buffer.from(incoming.bytes.subarray(back.at(0), back.at(0) + 6)).toString()).toBe('answer');
  });

  test('a queue of datagrams leaves in one call and arrives in order, several per call', () => {
    const from = socket({ family });
    const to = socket({ family, gro: false, bufferBytes: 2 ** 20 });
    expect(to.gro).toBe(false);
    const sender = new DatagramSender(from.fd, 40);
    const receiver = new DatagramReceiver(to.fd, incoming, 0, 64, 2048);
    const peer = destination(family, ip, to.port);
    const sent = Array.from({ length: 40 }, (_, index) => randomBytes(index * 17));
    let at = 0;
    for (const datagram of sent) {
      outgoing.bytes.set(datagram, at);
      expect(sender.add(peer.address, peer.length, outgoing.address + at, datagram.length, 0)).toBe(true);
      at += datagram.length;
    }
    expect(sender.add(peer.address, peer.length, outgoing.address, 1, 0)).toBe(false);
    expect(sender.pending).toBe(40);
    expect(sender.flush()).toBe(40);
    expect(sender.pending).toBe(0);
    expect(sender.flush()).toBe(0);
    expect(waitFor(to)).toBe(true);
    expect(receiver.receive()).toBe(40);
    for (const [slot, datagram] of sent.entries()) {
      const start = receiver.at(slot);
      const found = Buffer.from(incoming.bytes.subarray(start, start + receiver.length(slot)));
      expect(found.equals(datagram)).toBe(true);
      expect(receiver.truncated(slot)).toBe(false);
    }
    expect(receiver.receive()).toBe(-EAGAIN);
  });
});

test('a refused message stops the queue, is named by its errno, and the rest leaves once it is dropped', () => {
  const from = socket({ family: 4 });
  const to = socket({ family: 4 });
  const sender = new DatagramSender(from.fd, 3);
  const receiver = new DatagramReceiver(to.fd, incoming, 0, SLOTS, SLOT_BYTES);
  const peer = destination(4, '127.0.0.1', to.port);
  outgoing.bytes.set([1, 2]);
  sender.add(peer.address, peer.length, outgoing.address, 1, 0);
  // Longer than any IPv4 datagram (65 535 less 20 of IP and 8 of UDP).
  sender.add(peer.address, peer.length, outgoing.address, 65_508, 0);
  sender.add(peer.address, peer.length, outgoing.address + 1, 1, 0);
  expect(sender.flush()).toBe(1);
  expect(sender.flush()).toBe(-EMSGSIZE);
  expect(sender.pending).toBe(2);
  expect(sender.add(peer.address, peer.length, outgoing.address, 1, 0)).toBe(false);
  sender.drop();
  expect(sender.flush()).toBe(1);
  expect(collect(to, receiver, 2)).toEqual([Buffer.of(1), Buffer.of(2)]);
  expect(sender.add(peer.address, peer.length, outgoing.address, 1, 0)).toBe(true);
  sender.clear();
  expect(sender.pending).toBe(0);
});

test('a segmented and a whole message in one queue keep their own segment sizes', () => {
  const from = socket({ family: 4 });
  const to = socket({ family: 4 });
  const sender = new DatagramSender(from.fd, 4);
  const receiver = new DatagramReceiver(to.fd, incoming, 0, SLOTS, SLOT_BYTES);
  const peer = destination(4, '127.0.0.1', to.port);
  const data = randomBytes(3000);
  outgoing.bytes.set(data);
  sender.add(peer.address, peer.length, outgoing.address, 3000, 1000);
  sender.add(peer.address, peer.length, outgoing.address, 900, 0);
  sender.add(peer.address, peer.length, outgoing.address, 1500, 600);
  expect(sender.flush()).toBe(3);
  expect(collect(to, receiver, 7).map((one) => one.length)).toEqual([1000, 1000, 1000, 900, 600, 600, 300]);
});

test('a datagram longer than its slot is said to be truncated', () => {
  const from = socket({ family: 4 });
  const to = socket({ family: 4, gro: false });
  const receiver = new DatagramReceiver(to.fd, incoming, 100, 2, 64);
  const peer = destination(4, '127.0.0.1', to.port);
  const sender = new DatagramSender(from.fd);
  incoming.bytes.fill(0xcc, 0, 400);
  outgoing.bytes.fill(3, 0, 100);
  for (const length of [65, 64]) sender.send(peer.address, peer.length, outgoing.address, length, 0);
  expect(waitFor(to)).toBe(true);
  expect(receiver.receive()).toBe(2);
  expect([receiver.truncated(0), receiver.length(0)]).toEqual([true, 64]);
  expect([receiver.truncated(1), receiver.length(1)]).toEqual([false, 64]);
  expect([receiver.at(0), receiver.at(1)]).toEqual([100, 164]);
  expect(incoming.bytes[99]).toBe(0xcc);
  expect(incoming.bytes[228]).toBe(0xcc);
});

test('datagrams that find the buffer full are counted', () => {
  const from = socket({ family: 4 });
  // The kernel grants no less than its minimum of about 2 KiB.
  const to = socket({ family: 4, gro: false, bufferBytes: 1 });
  const receiver = new DatagramReceiver(to.fd, incoming, 0, 8, 2048);
  const sender = new DatagramSender(from.fd);
  const peer = destination(4, '127.0.0.1', to.port);
  const total = 200;
  for (let index = 0; index < total; index++)
    sender.send(peer.address, peer.length, outgoing.address, 1000, 0);
  let received = 0;
  for (let filled = receiver.receive(); filled > 0; filled = receiver.receive()) received += filled;
  expect(received).toBeGreaterThan(0);
  expect(received).toBeLessThan(total);
  // The count travels with the next datagram that finds room.
  sender.send(peer.address, peer.length, outgoing.address, 1000, 0);
  expect(waitFor(to)).toBe(true);
  expect(receiver.receive()).toBe(1);
  expect(receiver.dropped).toBe(total - received);
});

test('buffers are as large as asked for where root may force them, and doubled as the kernel does', () => {
  const small = socket({ family: 4 });
  const large = socket({ family: 4, bufferBytes: 6 * 2 ** 20 });
  expect(large.receiveBufferBytes).toBeGreaterThan(small.receiveBufferBytes);
  expect(large.sendBufferBytes).toBeGreaterThan(small.sendBufferBytes);
  if (process.getuid?.() === 0) {
    expect(large.receiveBufferBytes).toBe(12 * 2 ** 20);
    expect(large.sendBufferBytes).toBe(12 * 2 ** 20);
  }
});

test('a port is taken once, unless both sockets share it', () => {
  const one = socket({ family: 4 });
  expect(codeOf(() => socket({ family: 4, port: one.port }))).toBe('EADDRINUSE');
  const shared = socket({ reusePort: true });
  const twin = socket({ reusePort: true, port: shared.port });
  expect(twin.port).toBe(shared.port);
});

test('a socket binds to the address it was given', () => {
  const local = socket({ address: '127.0.0.1' });
  expect(local.family).toBe('dual');
  expect(codeOf(() => socket({ address: '192.0.2.77' }))).toBe('EADDRNOTAVAIL');
  expect(codeOf(() => socket({ address: 'nonsense' }))).toBe('SOCKET_ADDRESS');
});

test('no fragments: a datagram beyond the MTU of the way is refused, not cut', () => {
  // The loopback's MTU is 65 536, so IPv6 leaves 65 488 bytes for UDP's payload.
  const from = socket();
  const to = socket();
  const sender = new DatagramSender(from.fd);
  const peer = destination('dual', '::1', to.port);
  expect(sender.send(peer.address, peer.length, outgoing.address, 65_488, 0)).toBe(65_488);
  expect(sender.send(peer.address, peer.length, outgoing.address, 65_489, 0)).toBe(-EMSGSIZE);
});

test('closing twice closes once', () => {
  const one = UdpSocket.open({ port: 0 });
  one.close();
  const next = socket();
  one.close();
  expect(next.fd).toBe(one.fd);
  expect(new DatagramReceiver(next.fd, incoming, 0, 1, 64).receive()).toBe(-EAGAIN);
});

test('queues and slots of impossible sizes are bugs', () => {
  for (const capacity of [0, 1025]) {
    expect(codeOf(() => new DatagramSender(1, capacity))).toBe('POSIX_BAD_LENGTH');
  }
  for (const [at, slots, bytes] of [
    [0, 0, 64],
    [0, 1025, 64],
    [-1, 1, 64],
    [1, SLOTS, SLOT_BYTES],
  ] as const) {
    expect(codeOf(() => new DatagramReceiver(1, incoming, at, slots, bytes))).toBe('POSIX_BAD_LENGTH');
  }
});
