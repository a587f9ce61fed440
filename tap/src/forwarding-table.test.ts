import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressBytes, KIND_IP4, KIND_IP6, KIND_MAC, LINK_MEMBER, LINK_SELF } from './addresses.ts';
import {
  AGEING_SECONDS,
  createTable,
  MAX_ENTRIES,
  MAX_LEARNED,
  MAX_LEARNED_PER_LINK,
} from './table-layout.ts';
import { NO_LINK, TableReader } from './table-reader.ts';
import { TableWriter } from './table-writer.ts';
import { IP_A, IP6_A, MAC_A, MAC_B } from './test-frames.ts';

function newTable(): { writer: TableWriter; reader: TableReader } {
  const memory = createTable();
  return { writer: new TableWriter(memory), reader: new TableReader(memory) };
}

/** The `index`th of many station MACs. */
function mac(index: number): Uint8Array {
  return Uint8Array.of(0x02, 1, index >>> 24, (index >>> 16) & 0xff, (index >>> 8) & 0xff, index & 0xff);
}

test('a learned MAC is found, stays young while it is heard, ages, and may move only then', () => {
  const { writer, reader } = newTable();
  expect(writer.learn(7, MAC_A, 0, 1000)).toBe(true);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 1000)).toBe(7);
  expect(reader.lookup(KIND_MAC, MAC_B, 0, 1000)).toBe(NO_LINK);
  // Its link speaks again: the age starts anew. Another link's question does not count.
  expect(writer.owner(KIND_MAC, MAC_A, 0, 1200, 7)).toBe(7);
  expect(writer.owner(KIND_MAC, MAC_A, 0, 1400, 8)).toBe(7);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 1199 + AGEING_SECONDS)).toBe(7);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 1200 + AGEING_SECONDS)).toBe(NO_LINK);
  expect(writer.owner(KIND_MAC, MAC_A, 0, 1200 + AGEING_SECONDS, 8)).toBe(NO_LINK);
  expect(writer.learn(8, MAC_A, 0, 1200 + AGEING_SECONDS)).toBe(true);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 1200 + AGEING_SECONDS)).toBe(8);
  expect(writer.learned).toBe(1);
});

test('a bound address never ages, the first binding wins, and it takes a MAC from who only learned it', () => {
  const { writer, reader } = newTable();
  writer.learn(1, MAC_A, 0, 0);
  expect(writer.bind(2, KIND_MAC, MAC_A, 0, 0)).toBe(2);
  expect(writer.learned).toBe(0);
  expect(writer.bind(3, KIND_MAC, MAC_A, 0, 0)).toBe(2);
  expect(writer.bind(2, KIND_MAC, MAC_A, 0, 0)).toBe(2);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 1e9)).toBe(2);
});

test('an address that a link gives back is its own or waits for the next link, at every instant; nobody else can give it away', () => {
  const { writer, reader } = newTable();
  writer.bind(1, KIND_MAC, MAC_A, 0, 0);
  expect(writer.bind(LINK_MEMBER, KIND_MAC, MAC_A, 0, 0, 2)).toBe(1);
  expect(writer.bind(LINK_MEMBER, KIND_MAC, MAC_A, 0, 0, 1)).toBe(LINK_MEMBER);
  writer.unbindLink(1);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 1e9)).toBe(LINK_MEMBER);
  expect(writer.bind(2, KIND_MAC, MAC_A, 0, 0)).toBe(2);
});

test('addresses of different kinds with the same bytes are different addresses', () => {
  const { writer, reader } = newTable();
  const bytes = new Uint8Array(16);
  bytes.set(MAC_A);
  bytes.fill(0, 4);
  writer.bind(1, KIND_MAC, bytes, 0, 0);
  writer.bind(2, KIND_IP4, bytes, 0, 0);
  writer.bind(3, KIND_IP6, bytes, 0, 0);
  expect([KIND_MAC, KIND_IP4, KIND_IP6].map((kind) => reader.lookup(kind, bytes, 0, 0))).toEqual([1, 2, 3]);
});

test('unbinding a link forgets what it bound and what it learned, and nothing else', () => {
  const { writer, reader } = newTable();
  writer.bind(1, KIND_IP4, IP_A, 0, 0);
  writer.learn(1, MAC_A, 0, 0);
  writer.bind(2, KIND_IP6, IP6_A, 0, 0);
  writer.unbindLink(1);
  expect(reader.lookup(KIND_IP4, IP_A, 0, 0)).toBe(NO_LINK);
  expect(reader.lookup(KIND_MAC, MAC_A, 0, 0)).toBe(NO_LINK);
  expect(reader.lookup(KIND_IP6, IP6_A, 0, 0)).toBe(2);
});

test('one link cannot fill the table, all links together cannot keep a binding out, and aged MACs make room', () => {
  const { writer, reader } = newTable();
  let next = 0;
  for (let count = 0; count < MAX_LEARNED_PER_LINK; count++)
    expect(writer.learn(1, mac(next++), 0, 0)).toBe(true);
  expect(writer.learn(1, mac(next++), 0, 0)).toBe(false);
  for (let link = 2; writer.learned < MAX_LEARNED; link++) {
    for (let count = 0; count < MAX_LEARNED_PER_LINK; count++) writer.learn(link, mac(next++), 0, 0);
  }
  expect(writer.learn(999, mac(next++), 0, 0)).toBe(false);
  expect(writer.bind(999, KIND_IP4, IP_A, 0, 0)).toBe(999);
  expect(writer.learn(1, mac(next), 0, AGEING_SECONDS)).toBe(true);
  expect(writer.learned).toBe(1);
  expect(reader.lookup(KIND_MAC, mac(next), 0, AGEING_SECONDS)).toBe(1);
  expect(reader.lookup(KIND_IP4, IP_A, 0, AGEING_SECONDS)).toBe(999);
});

test('a table full of bindings refuses the next and finds all it has', () => {
  const { writer, reader } = newTable();
  const owners = Array.from({ length: MAX_ENTRIES }, (_, index) =>
    writer.bind(index % 500, KIND_MAC, mac(index), 0, 0),
  );
  expect(owners.filter((owner, index) => owner !== index % 500)).toEqual([]);
  expect(writer.bind(5, KIND_MAC, mac(MAX_ENTRIES), 0, 0)).toBe(NO_LINK);
  for (let index = 0; index < MAX_ENTRIES; index++) {
    expect(reader.lookup(KIND_MAC, mac(index), 0, 0)).toBe(index % 500);
  }
});

test('in a full table, where probe chains are long, removals lose nobody and make room', () => {
  const { writer, reader } = newTable();
  const linkOfKey = new Map<number, number>();
  let next = 0;
  const fill = (): void => {
    for (let count = linkOfKey.size; count < MAX_ENTRIES; count++) {
      const link = next % 10;
      expect(writer.bind(link, KIND_MAC, mac(next), 0, 0)).toBe(link);
      linkOfKey.set(next++, link);
    }
  };
  for (let round = 0; round < 6; round++) {
    fill();
    writer.unbindLink(round);
    for (const [index, link] of linkOfKey) {
      const expected = link === round ? NO_LINK : link;
      if (reader.lookup(KIND_MAC, mac(index), 0, 0) !== expected)
        throw new Error(`key ${index} in round ${round}`);
      if (link === round) linkOfKey.delete(index);
    }
  }
});

test('a reader in another thread never sees a half-written slot', async () => {
  const memory = createTable();
  const reader = new TableReader(memory);
  // Workers need JavaScript, so the writer runs from the built package. It rebinds one address to links 1 to 50 in turn.
  const script = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.module).then(({ TableWriter }) => {
      const writer = new TableWriter(workerData.memory);
      const address = Uint8Array.of(2, 0, 0, 0, 0, 10);
      const other = Uint8Array.of(2, 0, 0, 0, 0, 11);
      for (let round = 0; round < 400; round++) {
        const link = 1 + (round % 50);
        writer.bind(link, 1, address, 0, 0);
        writer.bind(link + 100, 1, other, 0, 0);
        writer.unbindLink(link);
        writer.unbindLink(link + 100);
      }
      writer.bind(60, 1, address, 0, 0);
    });`;
  const module = new URL('../dist/table-writer.js', import.meta.url).href;
  const worker = new Worker(script, { eval: true, workerData: { memory, module } });
  const ended = once(worker, 'exit');
  const seen = new Set<number>();
  while (!seen.has(60)) {
    for (let count = 0; count < 1000; count++) seen.add(reader.lookup(KIND_MAC, MAC_A, 0, 0));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  expect([...seen].filter((link) => link !== NO_LINK && (link < 1 || link > 60))).toEqual([]);
});

test('behaves like a plain map under any mix of learning, binding, unbinding and ageing', () => {
  interface Entry {
    link: number;
    isBound: boolean;
    seen: number;
  }
  const link = fc.integer({ min: 0, max: 3 }).map((index) => [0, 1, 2, LINK_SELF][index] ?? 0);
  const key = fc.tuple(fc.constantFrom(KIND_MAC, KIND_IP4, KIND_IP6), fc.nat(30));
  const operation = fc.oneof(
    fc.record({ do: fc.constant('frame' as const), link, key: fc.nat(30) }),
    fc.record({ do: fc.constant('bind' as const), link, key }),
    fc.record({ do: fc.constant('unbind' as const), link }),
    fc.record({ do: fc.constant('wait' as const), seconds: fc.nat(200) }),
  );
  const bytesOf = (kind: number, index: number): Uint8Array => {
    const bytes = new Uint8Array(addressBytes(kind));
    bytes[bytes.length - 1] = index;
    return bytes;
  };
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200, size: 'max' }), (operations) => {
      const { writer, reader } = newTable();
      const model = new Map<string, Entry>();
      let now = 0;
      const isLive = (entry: Entry | undefined): entry is Entry =>
        entry !== undefined && (entry.isBound || now - entry.seen < AGEING_SECONDS);
      for (const op of operations) {
        if (op.do === 'wait') now += op.seconds;
        else if (op.do === 'unbind') {
          writer.unbindLink(op.link);
          for (const [name, entry] of model) if (entry.link === op.link) model.delete(name);
        } else if (op.do === 'bind') {
          const [kind, index] = op.key;
          const name = `${kind}/${index}`;
          const old = model.get(name);
          const owner = old?.isBound ? old.link : op.link;
          expect(writer.bind(op.link, kind, bytesOf(kind, index), 0, now)).toBe(owner);
          if (!old?.isBound) model.set(name, { link: op.link, isBound: true, seen: now });
        } else {
          const name = `${KIND_MAC}/${op.key}`;
          const bytes = bytesOf(KIND_MAC, op.key);
          const old = model.get(name);
          const owner = writer.owner(KIND_MAC, bytes, 0, now, op.link);
          expect(owner).toBe(isLive(old) ? old.link : NO_LINK);
          if (isLive(old) && old.link === op.link) old.seen = now;
          if (owner !== NO_LINK) continue;
          expect(writer.learn(op.link, bytes, 0, now)).toBe(true);
          model.set(name, { link: op.link, isBound: false, seen: now });
        }
      }
      for (const kind of [KIND_MAC, KIND_IP4, KIND_IP6]) {
        for (let index = 0; index <= 30; index++) {
          const entry = model.get(`${kind}/${index}`);
          const expected = isLive(entry) ? entry.link : NO_LINK;
          expect(reader.lookup(kind, bytesOf(kind, index), 0, now)).toBe(expected);
        }
      }
      expect(writer.learned).toBe([...model.values()].filter((entry) => !entry.isBound).length);
    }),
    { numRuns: 100 },
  );
});
