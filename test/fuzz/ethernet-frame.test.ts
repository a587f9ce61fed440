import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { AddressTranslation } from '../../tap/dist/address-translation.js';
import { KIND_IP4, KIND_IP6, KIND_MAC, LINK_ALL, LINK_SELF } from '../../tap/dist/addresses.js';
import { TAG_NEIGHBOUR } from '../../tap/dist/commands.js';
import { corpus as tapCorpus } from '../../tap/dist/corpus.js';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS } from '../../tap/dist/counters.js';
import { DROP, EgressSwitch } from '../../tap/dist/egress-switch.js';
import { inspectFrame, newFrameClaims } from '../../tap/dist/frame.js';
import { IngressSwitch } from '../../tap/dist/ingress-switch.js';
import { answerNeighbour } from '../../tap/dist/neighbour-responder.js';
import { createTable, MAX_LEARNED_PER_LINK, setLayer } from '../../tap/dist/table-layout.js';
import { TableReader } from '../../tap/dist/table-reader.js';
import { corpus } from './corpus.ts';
import { nearlyBytes } from './mutate.ts';

/** The link that sends the fuzz, another one, and the addresses of both and of this node, as the corpus knows them. */
const PEER = 1;
const OTHER = 2;
const BINDINGS = [
  { link: LINK_SELF, kind: KIND_MAC, address: Uint8Array.of(2, 0, 0, 0, 0, 1) },
  { link: LINK_SELF, kind: KIND_IP4, address: Uint8Array.of(172, 31, 0, 1) },
  { link: PEER, kind: KIND_MAC, address: Uint8Array.of(2, 0, 0, 0, 0, 10) },
  { link: PEER, kind: KIND_IP4, address: Uint8Array.of(172, 31, 0, 10) },
  { link: OTHER, kind: KIND_MAC, address: Uint8Array.of(2, 0, 0, 0, 0, 11) },
  { link: OTHER, kind: KIND_IP4, address: Uint8Array.of(172, 31, 0, 11) },
  { link: OTHER, kind: KIND_IP6, address: Uint8Array.from([0xfd, ...Array(14).fill(0), 11]) },
];

let ingress: IngressSwitch;
let egress: EgressSwitch;
let memory: SharedArrayBuffer;
let table: TableReader;
let counters: Counters<(typeof INGRESS_COUNTERS)[number]>;
let egressCounters: Counters<(typeof EGRESS_COUNTERS)[number]>;

beforeEach(() => {
  memory = createTable();
  counters = new Counters(INGRESS_COUNTERS);
  egressCounters = new Counters(EGRESS_COUNTERS);
  ingress = new IngressSwitch(memory, counters);
  egress = new EgressSwitch(memory, egressCounters, 0);
  table = new TableReader(memory);
  for (const { link, kind, address } of BINDINGS) ingress.bind(link, kind, address, 0, 0);
});

function drops(): number {
  return INGRESS_COUNTERS.filter((name) => name.startsWith('dropped_')).reduce(
    (sum, name) => sum + counters.get(name),
    0,
  );
}

/** Admits a frame that stands in the middle of other bytes, which must not matter. */
function admit(frame: Uint8Array): boolean {
  const data = new Uint8Array(frame.length + 40).fill(0x45);
  data.set(frame, 20);
  return ingress.admit(PEER, data, 20, frame.length, 0);
}

function expectBindingsUnchanged(): void {
  for (const { link, kind, address } of BINDINGS) expect(table.lookup(kind, address, 0, 0)).toBe(link);
}

test.each(corpus('ethernet-frame'))('$name', ({ data, good }) => {
  expect(admit(data)).toBe(good);
  expect(drops()).toBe(good ? 0 : 1);
  expectBindingsUnchanged();
  // Applications may send the same bytes; nothing that they send is worse than a counted drop.
  expect(() => egress.route(data, 0, data.length, 0)).not.toThrow();
});

test.each(tapCorpus)('a frame from a peer: $name', ({ frame, isSound }) => {
  const admitted = admit(frame);
  if (!isSound) expect(admitted).toBe(false);
  expect(drops()).toBe(admitted ? 0 : 1);
  expectBindingsUnchanged();
});

const saved = [...corpus('ethernet-frame').map(({ data }) => data), ...tapCorpus.map(({ frame }) => frame)];
const frame = fc.oneof(
  fc.constantFrom(...saved).chain((bytes) => nearlyBytes(bytes)),
  fc.uint8Array({ maxLength: 120 }),
);

test('whatever frame a peer sends is admitted or counted as dropped, and takes no address from anybody', () => {
  fc.assert(
    fc.property(frame, (bytes) => {
      const before = drops();
      const admitted = admit(bytes);
      expect(drops()).toBe(before + (admitted ? 0 : 1));
      expectBindingsUnchanged();
    }),
    { numRuns: 5_000 },
  );
  // However many sources it invented.
  expect(counters.get('learned_macs')).toBeLessThanOrEqual(MAX_LEARNED_PER_LINK);
});

test('claims that are found stand inside the frame', () => {
  const claims = newFrameClaims();
  fc.assert(
    fc.property(frame, (bytes) => {
      if (!inspectFrame(bytes, 0, bytes.length, claims)) return;
      const ipBytes = claims.ipKind === KIND_IP6 ? 16 : 4;
      if (claims.ipKind !== 0) expect(claims.ipAt + ipBytes).toBeLessThanOrEqual(bytes.length);
      if (claims.arpMacAt >= 0) expect(claims.arpMacAt + 6).toBeLessThanOrEqual(bytes.length);
      if (claims.advertisedAt >= 0) expect(claims.advertisedAt + 16).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 5_000 },
  );
});

test.each([2, 3] as const)(
  'whatever applications send goes to a link, to all, to be answered, or is counted as dropped, in layer %i',
  (layer) => {
    const known = layer === 2 ? [PEER, OTHER, LINK_ALL] : [PEER, OTHER, TAG_NEIGHBOUR];
    setLayer(memory, layer);
    fc.assert(
      fc.property(frame, (bytes) => {
        const before = EGRESS_COUNTERS.reduce((sum, name) => sum + egressCounters.get(name), 0);
        const link = egress.route(bytes, 0, bytes.length, 0);
        const after = EGRESS_COUNTERS.reduce((sum, name) => sum + egressCounters.get(name), 0);
        if (link === DROP) expect(after).toBe(before + 1);
        else expect(known).toContain(link);
      }),
      { numRuns: 5_000 },
    );
  },
);

test('in layer 3, whatever a peer sends is admitted with its own addresses or counted as dropped', () => {
  setLayer(memory, 3);
  fc.assert(
    fc.property(frame, (bytes) => {
      const before = drops();
      const admitted = admit(bytes);
      expect(drops()).toBe(before + (admitted ? 0 : 1));
      if (admitted) expect([...bytes.subarray(6, 12)]).toEqual([2, 0, 0, 0, 0, 10]);
    }),
    { numRuns: 5_000 },
  );
  expect(counters.get('learned_macs')).toBe(0);
});

/** A buffer of other bytes with the frame in its middle, and a virtio header of either kind before it. */
function surrounded(bytes: Uint8Array, flags: number): Uint8Array {
  const data = new Uint8Array(bytes.length + 40).fill(0x45);
  data.set(bytes, 20);
  data[10] = flags;
  return data;
}

test('whatever a peer sends, translation changes nothing but the frame, and nothing at all when it refuses', () => {
  const translation = new AddressTranslation({
    remote: Uint8Array.of(172, 31, 0, 10),
    source: Uint8Array.of(172, 31, 9, 9),
    destination: Uint8Array.of(172, 31, 0, 1),
  });
  fc.assert(
    fc.property(frame, fc.constantFrom(0, 1), (bytes, flags) => {
      const data = surrounded(bytes, flags);
      const before = data.slice();
      const isAllowed = translation.apply(data, 20, bytes.length);
      if (!isAllowed) expect(data).toEqual(before);
      expect(data.subarray(0, 20)).toEqual(before.subarray(0, 20));
      expect(data.subarray(20 + bytes.length)).toEqual(before.subarray(20 + bytes.length));
    }),
    { numRuns: 5_000 },
  );
});

test('whatever applications send, an answer to it is a sound frame', () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 10);
  const claims = newFrameClaims();
  fc.assert(
    fc.property(frame, (bytes) => {
      const answer = answerNeighbour(surrounded(bytes, 0), 20, bytes.length, () => mac);
      if (answer !== null) expect(inspectFrame(answer, 0, answer.length, claims)).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});
