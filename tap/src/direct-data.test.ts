import { setImmediate } from 'node:timers/promises';
import {
  DatagramReceiver,
  type DatagramSender,
  EINVAL,
  EIO,
  EMSGSIZE,
  encodeSockaddr,
  errnoName,
  type HotMemory,
  POLLIN,
  PollSet,
  SOCKADDR_BYTES,
} from '@kith/posix';
import { afterEach, expect, test, vi } from 'vitest';
import { TYPE_PLAIN, TYPE_SEALED } from './datagram.ts';
import type { Outlet } from './direct-egress.ts';
import { FORGED, REPLAYED, RX_DATAGRAMS, RX_UNICAST, SENT_SINCE_REKEY, TX_UNICAST } from './direct-stats.ts';
import {
  AES,
  CHACHA,
  egressMemory,
  INDEX,
  ingressMemory,
  type Keys,
  LINK,
  MODES,
  Pair,
  type PairOptions,
  PLAIN,
  reassemblyBytes,
  SLOT_BYTES,
} from './test-direct-pair.ts';
import { ethernet } from './test-frames.ts';
import { allocatedBy } from './test-heap-sampling.ts';
import { segmentsOf, superFrame } from './test-super-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

let pair: Pair | undefined;

afterEach(() => {
  pair?.close();
  pair = undefined;
});

function newPair(options?: PairOptions): Pair {
  pair = new Pair(options);
  return pair;
}

function small(seed: number, bytes = 60): Uint8Array {
  const payload = new Uint8Array(bytes).fill(seed);
  return Uint8Array.from([...new Uint8Array(VIRTIO_HEADER_BYTES), ...ethernet({ type: 0x88b5, payload })]);
}

/** The TCP payload of frames that came in order. */
function streamOf(frames: readonly Uint8Array[]): number[] {
  let next = 1000;
  return frames.flatMap(segmentsOf).flatMap(({ sequence, payload }) => {
    expect(sequence).toBe(next);
    next += payload.length;
    return [...payload];
  });
}

function payloadOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

for (const [name, keys] of MODES) {
  for (const [gso, gro] of [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ]) {
    test(`${name}: super-frames and small frames cross ${gso ? 'with' : 'without'} UDP_SEGMENT, ${gro ? 'with' : 'without'} UDP_GRO`, () => {
      const pair = newPair({ gso: gso === true, gro: gro === true }).keys(keys);
      const big = superFrame({ gso: 1308, payload: payloadOf(58_000) });
      const smalls = Array.from({ length: 40 }, (_, seed) => small(seed));
      pair.send(...smalls, big, ...smalls);
      pair.receive();
      const superFrames = pair.frames.filter(({ length }) => length > 100);
      // Without UDP_GRO a call gives few datagrams, so that the super-frame comes in several parts.
      if (gro && gso) expect(superFrames.length).toBe(1);
      expect(streamOf(superFrames)).toEqual(streamOf([big]));
      expect(pair.frames.filter(({ length }) => length < 100)).toEqual([...smalls, ...smalls]);
      expect(pair.stats.get(3, SENT_SINCE_REKEY)).toBe(pair.stats.get(3, RX_DATAGRAMS));
      // Bundles: 80 small frames do not take 80 datagrams.
      expect(pair.stats.get(3, RX_DATAGRAMS)).toBeLessThan(60);
      if (gso) expect(pair.egressCounters.get('direct_sends')).toBeLessThan(6);
    });
  }
}

for (const errno of [EIO, EINVAL]) {
  test(`when the kernel refuses UDP_SEGMENT with ${errnoName(errno)}, the batch goes one by one and no other is tried`, () => {
    let refusals = 0;
    const wrap = (sender: DatagramSender): Outlet => ({
      send: (name, nameLength, data, length, segment) => {
        if (segment === 0) return sender.send(name, nameLength, data, length, 0);
        refusals++;
        return -errno;
      },
      add: (...message) => sender.add(...message),
      flush: () => sender.flush(),
      drop: () => sender.drop(),
      get pending() {
        return sender.pending;
      },
    });
    const pair = newPair({ wrap }).keys(AES);
    const big = superFrame({ gso: 1308, payload: payloadOf(58_000) });
    for (let round = 0; round < 2; round++) {
      pair.send(big);
      pair.receive();
      expect(streamOf(pair.frames.splice(0))).toEqual(streamOf([big]));
    }
    expect(refusals).toBe(1);
    expect(pair.egressCounters.get('direct_gso_disabled')).toBe(1);
    expect(pair.egressCounters.get('dropped_direct_send')).toBe(0);
    expect(pair.pathErrors).toEqual([]);
  });
}

test('when one message of a batch is refused, those behind it still leave', () => {
  let flushes = 0;
  const wrap = (sender: DatagramSender): Outlet => ({
    send: (...message) => sender.send(...message),
    add: (...message) => sender.add(...message),
    flush: () => (flushes++ === 0 ? -EMSGSIZE : sender.flush()),
    drop: () => sender.drop(),
    get pending() {
      return sender.pending;
    },
  });
  const pair = newPair({ gso: false, wrap }).keys(AES);
  pair.send(superFrame({ gso: 1308, payload: payloadOf(20_000) }));
  pair.receive();
  expect(pair.pathErrors).toEqual([EMSGSIZE]);
  expect(pair.egressCounters.get('dropped_direct_send')).toBe(1);
  expect(pair.stats.get(3, RX_DATAGRAMS)).toBe(pair.stats.get(3, SENT_SINCE_REKEY) - 1);
});

test('a path too small for a frame gets it in fragments', () => {
  const pair = newPair({ datagramBytes: 600 }).keys(AES);
  const frame = small(7, 1300);
  pair.send(frame);
  pair.receive();
  expect(pair.frames).toEqual([frame]);
});

/** The datagram that the next small frame becomes: what the socket would have sent. */
function capture(pair: Pair, keys: Keys): Uint8Array {
  pair.keys(keys);
  pair.send(small(1));
  const memory: HotMemory = ingressMemory;
  const receiver = new DatagramReceiver(pair.to.fd, memory, reassemblyBytes, 2, SLOT_BYTES);
  new PollSet([{ fd: pair.to.fd, events: POLLIN }]).wait(200);
  expect(receiver.receive()).toBe(1);
  return memory.bytes.slice(receiver.at(0), receiver.at(0) + receiver.length(0));
}

for (const [name, keys] of MODES) {
  test(`${name}: a datagram is taken once; replayed, it changes nothing`, () => {
    const pair = newPair();
    const datagram = capture(pair, keys);
    pair.inject(datagram);
    expect(pair.frames.length).toBe(1);
    pair.inject(datagram);
    expect(pair.frames.length).toBe(1);
    expect(pair.stats.get(3, REPLAYED)).toBe(1);
  });

  test(`${name}: a datagram changed in any byte that proves it is dropped, and its original still passes`, () => {
    const pair = newPair();
    const datagram = capture(pair, keys);
    for (let at = 0; at < datagram.length; at++) {
      // Plain datagrams prove who sent them, not what is in them (DESIGN §5).
      if (keys === PLAIN && at >= 8 && at < datagram.length - 16) continue;
      const forged = datagram.slice();
      forged[at] = (forged[at] ?? 0) ^ 0x10;
      pair.inject(forged);
      expect(pair.frames.length).toBe(0);
    }
    for (let cut = 1; cut < datagram.length; cut += 7)
      pair.inject(datagram.subarray(0, datagram.length - cut));
    expect(pair.frames.length).toBe(0);
    expect(pair.stats.get(3, RX_DATAGRAMS)).toBe(0);
    expect(pair.stats.get(3, FORGED)).toBeGreaterThan(10);
    expect(pair.stats.source(3)).toBeUndefined();
    pair.inject(datagram);
    expect(pair.frames.length).toBe(1);
  });
}

test('a plain datagram does not pass for a sealed one, nor the other way round', () => {
  const pair = newPair();
  const sealed = capture(pair, AES);
  sealed[0] = TYPE_PLAIN;
  pair.inject(sealed);
  const plain = capture(pair, PLAIN);
  plain[0] = TYPE_SEALED;
  pair.inject(plain);
  expect(pair.frames.length).toBe(0);
  expect(pair.ingressCounters.get('dropped_unknown_receiver')).toBe(2);
});

test('keys change in flight without loss: both receivers are there until the old one is removed', () => {
  const pair = newPair().keys(AES, 1);
  pair.send(small(1));
  pair.keys(CHACHA, 2);
  pair.send(small(2));
  pair.receive();
  expect(pair.frames).toEqual([small(1), small(2)]);
  pair.ingress.removeReceiver(2);
  pair.send(small(3));
  pair.receive();
  expect(pair.frames.length).toBe(2);
  expect(pair.ingressCounters.get('dropped_unknown_receiver')).toBe(1);
});

test('given keys are wiped', () => {
  const pair = newPair();
  const keys = AES();
  pair.egress.setSender({ link: LINK, slot: 3, index: INDEX, keys });
  expect(keys.mode === 'sealed' && keys.key.every((byte) => byte === 0)).toBe(true);
});

test('without keys or without a path a link is not carried', () => {
  const pair = newPair();
  expect(pair.egress.carries(LINK)).toBe(false);
  pair.keys(PLAIN);
  expect(pair.egress.carries(LINK)).toBe(true);
  pair.egress.clearPath(LINK);
  expect(pair.egress.isUsed).toBe(false);
  expect(pair.egress.send(LINK, 0, 100)).toBe(false);
});

test('probes and STUN go to the main thread as they are, within a limit; anything else is dropped', () => {
  const pair = newPair();
  pair.inject(Uint8Array.of(0xc2, 1, 2, 3));
  pair.inject(Uint8Array.of(0, 1, 0, 0));
  pair.inject(Uint8Array.of(0x45, 1));
  expect(pair.ingressCounters.get('dropped_unknown_datagram')).toBe(1);
  const seen: number[][] = [];
  while (pair.control.peek()) {
    seen.push([
      ...pair.control.bytes.subarray(
        pair.control.offset + SOCKADDR_BYTES,
        pair.control.offset + pair.control.length,
      ),
    ]);
    pair.control.release();
  }
  expect(seen).toEqual([
    [0xc2, 1, 2, 3],
    [0, 1, 0, 0],
  ]);
  for (let count = 0; count < 1100; count++) pair.inject(Uint8Array.of(0xc2));
  expect(pair.ingressCounters.get('dropped_control_limited')).toBeGreaterThan(50);
});

test('hostile datagrams of every type and length change nothing', () => {
  const pair = newPair().keys(AES);
  for (let length = 1; length < 120; length++) {
    const datagram = new Uint8Array(length).fill(length * 7);
    datagram[0] = length % 2 === 0 ? TYPE_SEALED : TYPE_PLAIN;
    datagram.set(
      [0xab, 0xcd, 0x01, 0x23].slice(0, Math.max(0, Math.min(4, length - 4))),
      Math.min(4, length - 1),
    );
    pair.inject(datagram);
  }
  expect(pair.frames.length).toBe(0);
  pair.send(small(1));
  pair.receive();
  expect(pair.frames.length).toBe(1);
});

test('a path that takes no datagrams of this size is reported', () => {
  const pair = newPair({ datagramBytes: 65_507 }).keys(PLAIN);
  pair.egress.setPath({
    link: LINK,
    datagramBytes: 40_000,
    channel: 0,
    ...(() => {
      // A documentation address: no route in a fresh namespace, or far too large for any card on the way.
      const sockaddr = new Uint8Array(SOCKADDR_BYTES);
      return { sockaddr, sockaddrLength: encodeSockaddr(4, '255.255.255.255', 9, sockaddr) };
    })(),
  });
  pair.send(small(1));
  expect(pair.pathErrors.length).toBe(1);
  expect(pair.egressCounters.get('dropped_direct_send')).toBe(1);
});

test('who waits for a use of any link is woken by a frame to one station, sent or received, and not by one to everybody', async () => {
  const pair = newPair().keys(AES);
  const woken: string[] = [];
  void pair.stats.nextUse().then(() => woken.push('sent'));
  const toAll = small(1);
  toAll.fill(0xff, VIRTIO_HEADER_BYTES, VIRTIO_HEADER_BYTES + 6);
  egressMemory.bytes.set(toAll, 0);
  pair.egress.sendToAll(0, toAll.length);
  pair.egress.flush();
  pair.receive();
  await setImmediate();
  expect(woken).toEqual([]);
  pair.send(small(2));
  await vi.waitUntil(() => woken.length === 1, { timeout: 5_000 });
  void pair.stats.nextUse().then(() => woken.push('received'));
  pair.egress.flush();
  pair.receive();
  await vi.waitUntil(() => woken.length === 2, { timeout: 5_000 });
  void pair.stats.nextUse().then(() => woken.push('ended'));
  pair.stats.endWait();
  await vi.waitUntil(() => woken.length === 3, { timeout: 5_000 });
  // Nobody waits: nobody is told.
  pair.send(small(3));
  expect(woken).toEqual(['sent', 'received', 'ended']);
});

test('frames to everybody do not count as use of a link, alone or bundled; a frame to one station does', () => {
  const pair = newPair().keys(AES);
  const used = (): [number, number] => [pair.stats.get(3, TX_UNICAST), pair.stats.get(3, RX_UNICAST)];
  const toAll = small(1);
  toAll.fill(0xff, VIRTIO_HEADER_BYTES, VIRTIO_HEADER_BYTES + 6);
  for (let count = 0; count < 3; count++) {
    egressMemory.bytes.set(toAll, 0);
    pair.egress.sendToAll(0, toAll.length);
  }
  pair.egress.flush();
  pair.receive();
  expect(pair.count).toBe(3);
  expect(used()).toEqual([0, 0]);
  egressMemory.bytes.set(toAll, 0);
  pair.egress.sendToAll(0, toAll.length);
  pair.send(small(2));
  pair.receive();
  expect(pair.count).toBe(5);
  expect(used()).toEqual([1, 1]);
});

const ROUNDS = 500;

test('the loops allocate nothing per frame', () => {
  const pair = newPair().keys(AES);
  pair.keepsFrames = false;
  const big = superFrame({ gso: 1308, payload: payloadOf(58_000) });
  const little = small(1);
  const round = (): void => {
    egressMemory.bytes.set(big, 0);
    pair.egress.send(LINK, 0, big.length);
    egressMemory.bytes.set(little, 0);
    for (let count = 0; count < 20; count++) pair.egress.send(LINK, 0, little.length);
    pair.egress.flush();
    while (pair.ingress.receive(1000) > 0);
  };
  for (let count = 0; count < 3000; count++) round();
  pair.count = 0;
  const allocated = allocatedBy(() => {
    for (let count = 0; count < ROUNDS; count++) round();
  });
  expect(pair.count).toBe(ROUNDS * 21);
  const total = Object.values(allocated).reduce((sum, bytes) => sum + bytes, 0);
  // A round has some 50 datagrams and 21 frames. One boxed number for each would be 1 100 bytes and more; one per call to the kernel is allowed.
  expect(total / ROUNDS, JSON.stringify(allocated)).toBeLessThan(100);
});
