import { decodeSockaddr, SOCKADDR_BYTES } from '@kith/posix';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { RX_BYTES, RX_DATAGRAMS, SENT_SINCE_REKEY, TX_BYTES } from './direct-stats.ts';
import { AES, egressMemory, LINK, MODES, Pair, type PairOptions } from './test-direct-pair.ts';
import { ethernet } from './test-frames.ts';
import { allocatedBy } from './test-heap-sampling.ts';
import { superFrame } from './test-super-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

const CHANNEL = 0x4abc;

let pair: Pair | undefined;

afterEach(() => {
  pair?.close();
  pair = undefined;
});

function relayed(options: PairOptions = {}): Pair {
  pair = new Pair({ channel: CHANNEL, ...options }).keys(AES);
  return pair;
}

function small(seed: number): Uint8Array {
  const payload = new Uint8Array(60).fill(seed);
  return Uint8Array.from([...new Uint8Array(VIRTIO_HEADER_BYTES), ...ethernet({ type: 0x88b5, payload })]);
}

const BIG = superFrame({ gso: 1308, payload: Uint8Array.from({ length: 58_000 }, (_, at) => at * 31) });

/** What waits for the main thread, without the sockaddr in front. */
function told(pair: Pair): Uint8Array[] {
  const found: Uint8Array[] = [];
  while (pair.control.peek()) {
    const { bytes, offset, length } = pair.control;
    found.push(bytes.slice(offset + SOCKADDR_BYTES, offset + length));
    pair.control.release();
  }
  return found;
}

for (const gso of [true, false]) {
  test(`frames cross as ChannelData ${gso ? 'with' : 'without'} UDP_SEGMENT, and the channel is told as their source`, () => {
    for (const [, keys] of MODES) {
      const pair = new Pair({ channel: CHANNEL, gso }).keys(keys);
      pair.ingress.addRelay(pair.sender);
      pair.send(small(1), BIG, small(2), small(3));
      pair.receive();
      expect(pair.frames.filter(({ length }) => length < 100)).toEqual([small(1), small(2), small(3)]);
      expect(pair.frames.length).toBeGreaterThan(3);
      expect(pair.stats.get(3, SENT_SINCE_REKEY)).toBe(pair.stats.get(3, RX_DATAGRAMS));
      // The header is the carrier's business, not the link's.
      expect(pair.stats.get(3, TX_BYTES)).toBe(pair.stats.get(3, RX_BYTES));
      const source = pair.stats.source(3);
      expect(source?.channel).toBe(CHANNEL);
      expect(decodeSockaddr(source?.sockaddr ?? new Uint8Array(0))).toEqual({
        ip: '127.0.0.1',
        port: pair.from.port,
      });
      pair.close();
    }
  });
}

test('a datagram of a relayed path is never longer than the path allows, its header included', () => {
  const lengths: number[] = [];
  const pair = relayed({
    datagramBytes: 1200,
    gso: false,
    wrap: (sender) => ({
      send: (name, nameLength, data, length, segment) => {
        lengths.push(length);
        return sender.send(name, nameLength, data, length, segment);
      },
      add: (name, nameLength, data, length, segment) => {
        lengths.push(length);
        return sender.add(name, nameLength, data, length, segment);
      },
      flush: () => sender.flush(),
      drop: () => sender.drop(),
      get pending() {
        return sender.pending;
      },
    }),
  });
  pair.send(BIG);
  expect(Math.max(...lengths)).toBe(1200);
});

test('ChannelData of a server that is not known, or no more, is dropped and counted', () => {
  const pair = relayed();
  pair.send(small(1));
  pair.receive();
  pair.ingress.addRelay(pair.sender);
  pair.ingress.removeRelay(pair.sender);
  pair.send(small(2));
  pair.receive();
  expect(pair.frames).toEqual([]);
  expect(pair.ingressCounters.get('dropped_unknown_datagram')).toBe(2);
  expect(told(pair)).toEqual([]);
});

test('a relayed probe goes to the main thread with its channel; other things in a channel are dropped', () => {
  const pair = relayed();
  pair.ingress.addRelay(pair.sender);
  const inChannel = (data: number[]): Uint8Array => Uint8Array.from([0x4a, 0xbc, 0, data.length, ...data]);
  const probe = inChannel([0xc2, ...new Array(55).fill(1)]);
  pair.inject(probe);
  // STUN, ChannelData once more, and a datagram that is cut short.
  for (const first of [0x00, 0x4a, 0xff]) pair.inject(inChannel([first, ...new Array(55).fill(1)]));
  pair.inject(probe.subarray(0, 40));
  expect(told(pair)).toEqual([probe]);
  expect(pair.ingressCounters.get('dropped_unknown_datagram')).toBe(4);
});

test('hostile ChannelData of every form changes nothing', () => {
  const pair = relayed();
  pair.ingress.addRelay(pair.sender);
  const first = fc.integer({ min: 0x40, max: 0x4f });
  fc.assert(
    fc.property(first, fc.uint8Array({ maxLength: 120 }), fc.boolean(), (byte, rest, isData) => {
      const datagram = Uint8Array.from([byte, ...rest]);
      if (isData && datagram.length > 4)
        datagram.set([0, datagram.length - 4, 0xc0].slice(0, datagram.length - 2), 2);
      pair.inject(datagram);
    }),
    { numRuns: 200 },
  );
  expect(pair.frames).toEqual([]);
  expect(pair.stats.get(3, RX_DATAGRAMS)).toBe(0);
  pair.send(small(1));
  pair.receive();
  expect(pair.frames).toEqual([small(1)]);
});

test('a server may pad ChannelData', () => {
  const pair = relayed({ datagramBytes: 1472 });
  pair.ingress.addRelay(pair.sender);
  const sent: Uint8Array[] = [];
  const other = new Pair({
    channel: CHANNEL,
    wrap: (sender) => ({
      send: (_name, _nameLength, data, length) => {
        const at = data - egressMemory.address;
        sent.push(egressMemory.bytes.slice(at, at + length));
        return length;
      },
      add: () => true,
      flush: () => 0,
      drop: () => sender.drop(),
      pending: 0,
    }),
  }).keys(AES);
  other.send(small(9));
  other.close();
  pair.inject(Uint8Array.from([...(sent[0] ?? []), 0, 0, 0]));
  expect(pair.frames).toEqual([small(9)]);
});

test('the loops allocate nothing per relayed frame', () => {
  const pair = relayed();
  pair.ingress.addRelay(pair.sender);
  pair.keepsFrames = false;
  const round = (): void => {
    egressMemory.bytes.set(BIG, 0);
    pair.egress.send(LINK, 0, BIG.length);
    pair.egress.flush();
    while (pair.ingress.receive(1000) > 0);
  };
  for (let count = 0; count < 3000; count++) round();
  const rounds = 500;
  const allocated = allocatedBy(() => {
    for (let count = 0; count < rounds; count++) round();
  });
  const total = Object.values(allocated).reduce((sum, bytes) => sum + bytes, 0);
  expect(total / rounds, JSON.stringify(allocated)).toBeLessThan(100);
});
