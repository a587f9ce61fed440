import { generateKeyPairSync } from 'node:crypto';
import { createLogger, monotonicMs, PeerError } from '@kith/base';
import {
  type AccountPair,
  type Candidate,
  DIRECT_FEATURE,
  decodeControl,
  encodeControl,
  fingerprintOf,
  type RelayMessage,
  uidOfFingerprint,
} from '@kith/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PeerSessionEvents, PeerSessionOptions } from '../../tincan/dist/channel/peer-session.js';
import { DirectNode } from '../../tincan/dist/direct/direct-node.js';
import { FakePort } from '../../tincan/dist/direct/fake-port.test.helper.js';
import type { Identity } from '../../tincan/dist/identity.js';
import { Link } from '../../tincan/dist/link.js';
import { corpus } from './corpus.ts';
import { nearlyValid } from './mutate.ts';

/**
 * Stands in for the session below a link: the peer's messages come from the test, without ICE and DTLS. As with the real one, nothing
 * comes any more once it was closed.
 */
const { FakeSession } = vi.hoisted(() => {
  class FakeSession {
    static last: FakeSession | undefined;
    readonly events: PeerSessionEvents;
    readonly local = { ufrag: 'mine', pwd: '0123456789012345678901' };
    remote: { ufrag: string; pwd: string } | undefined;
    remoteFingerprint = '';
    framesBuffered = 0;
    readonly sent: string[] = [];
    closes = 0;

    constructor(_options: PeerSessionOptions, events: PeerSessionEvents) {
      const whileOpen =
        <A extends unknown[]>(callback: (...args: A) => void) =>
        (...args: A): void => {
          if (this.closes === 0) callback(...args);
        };
      this.events = {
        candidate: whileOpen(events.candidate),
        gathered: whileOpen(events.gathered),
        open: whileOpen(events.open),
        control: whileOpen(events.control),
        frames: whileOpen(events.frames),
        writable: whileOpen(events.writable),
        failed: whileOpen(events.failed),
      };
      FakeSession.last = this;
    }

    applyRemote(fingerprint: string, ice: { ufrag: string; pwd: string }): void {
      this.remote = ice;
      this.remoteFingerprint = fingerprint;
    }

    addCandidate(): void {}

    sendControl(text: string): boolean {
      this.sent.push(text);
      return this.closes === 0;
    }

    sendFrames(): boolean {
      return this.closes === 0;
    }

    selectedPair(): null {
      return null;
    }

    close(): void {
      this.closes++;
    }
  }
  return { FakeSession };
});

vi.mock('../../tincan/dist/channel/peer-session.js', async (original) => ({
  ...(await original<object>()),
  PeerSession: FakeSession,
}));

// The certificate that the corpus speaks of is the peer's.
const FPR = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':');
const UID = uidOfFingerprint(FPR);
const MINE = fingerprintOf(Buffer.from('mine'));
const IDENTITY: Identity = {
  ...{ certificatePem: '', keyPem: '', fingerprint: MINE, uid: uidOfFingerprint(MINE) },
  mac: new Uint8Array(6),
};
const CANDIDATE: Candidate = {
  ...{
    component: 1,
    protocol: 'udp',
    ip: '203.0.113.9',
    port: 5000,
    priority: 1,
    type: 'local',
    foundation: '1',
  },
  ...{ ufrag: 'abcd', pwd: '0123456789012345678901' },
};
const HELLO = { t: 'hello', v: 1, uid: UID, attempt: 1, ip4: '172.31.0.2', ip6: null } as const;

/** A link whose events are recorded, and the session below it. */
class Bench {
  readonly link: Link;
  readonly session: InstanceType<typeof FakeSession>;
  readonly closed: string[] = [];
  readonly relayed: RelayMessage[] = [];
  onlines = 0;
  chunks = 0;

  constructor(slot: number, direct?: DirectNode, accounts?: AccountPair) {
    this.link = new Link(
      slot,
      { identity: IDENTITY, ip4: '172.31.0.1', ip6: null, direct, layer: () => 2, isExcluded: () => false },
      {
        uid: UID,
        attempt: 1,
        encrypted: true,
        security: undefined,
        accounts,
        translation: undefined,
        iceServers: [],
      },
      undefined,
      createLogger('fuzz', 'silent'),
      {
        candidates: () => undefined,
        online: () => void this.onlines++,
        closed: (_, reason) => void this.closed.push(reason),
        relayed: (_, message) => void this.relayed.push(message),
        suspect: () => undefined,
        restless: () => undefined,
        chunk: () => void this.chunks++,
      },
      monotonicMs(),
    );
    const session = FakeSession.last;
    if (session === undefined) throw new Error('no session was made');
    this.session = session;
    this.link.addRemote(FPR, [CANDIDATE]);
    session.events.open();
  }

  goOnline(): void {
    const features = [DIRECT_FEATURE];
    this.session.events.control(encodeControl({ ...HELLO, security: null, heard: null, features }));
    expect(this.link.state).toBe('online');
  }

  get malformed(): number {
    return this.link.report(monotonicMs()).counters.malformed_control ?? 0;
  }

  /** What must hold whatever a peer did. */
  expectSane(): void {
    expect(this.closed.length).toBe(this.link.state === 'closed' ? 1 : 0);
    expect(this.session.closes).toBe(this.closed.length);
    expect(this.onlines).toBeLessThanOrEqual(1);
  }
}

/** A direct carrier's node whose datagrams go nowhere. */
function newDirectNode(): { node: DirectNode; port: FakePort } {
  const port = new FakePort({ ip: '203.0.113.1', port: 40_000 }, { delay: 0, passes: () => false }, []);
  const node = new DirectNode({
    ...{ port, me: IDENTITY.uid, ownInterface: 'kith0', aes: true, log: createLogger('fuzz', 'silent') },
    isOverlay: () => false,
    clock: () => monotonicMs(),
    readAddresses: () => [{ interface: 'eth0', ip: '203.0.113.1', mtu: 1500 }],
    resolve: () => Promise.reject(new Error('there is no DNS')),
  });
  return { node, port };
}

let bench: Bench;
let neighbour: Bench;
let direct: ReturnType<typeof newDirectNode>;

beforeEach(() => {
  direct = newDirectNode();
  bench = new Bench(1);
  neighbour = new Bench(2, direct.node);
  neighbour.goOnline();
});

afterEach(() => {
  for (const { link } of [bench, neighbour]) link.close('the test is over');
  direct.node.close();
});

test.each(corpus('control'))('$name', ({ data, good }) => {
  const text = data.toString('utf8');
  if (!good) expect(() => decodeControl(text)).toThrow(PeerError);
  const says = /"t":"hello"/.test(text);
  if (!says) bench.goOnline();
  const before = bench.malformed;
  bench.session.events.control(text);
  expect(bench.malformed - before).toBe(good ? 0 : 1);
  // Well formed, but a goodbye, or a count that the peer was never granted.
  const ends = /"bye"|"sent":9007199254740991/.test(text);
  if (good) expect(bench.link.state).toBe(ends ? 'closed' : 'online');
  else expect(bench.link.state).toBe(says ? 'connecting' : 'online');
  bench.expectSane();
  expect(neighbour.link.state).toBe('online');
});

test('a hello of another node, or by another certificate, ends the link before any frame is taken', () => {
  for (const spoil of [
    (session: InstanceType<typeof FakeSession>) => {
      session.events.control(
        encodeControl({ ...HELLO, uid: 'ab'.repeat(20), security: null, heard: null, features: [] }),
      );
    },
    (session: InstanceType<typeof FakeSession>) => {
      session.remoteFingerprint = MINE;
      session.events.control(encodeControl({ ...HELLO, security: null, heard: null, features: [] }));
    },
  ]) {
    const spoiled = new Bench(3);
    spoil(spoiled.session);
    spoiled.session.events.frames(Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 14, ...new Uint8Array(14)]));
    expect(spoiled.link.state).toBe('closed');
    expect(spoiled.onlines + spoiled.chunks).toBe(0);
    spoiled.expectSane();
  }
});

test('a hello that takes either end for another account’s ends the link before any frame is taken, and the link says why', () => {
  const [alice, bob, mallory] = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
  if (alice === undefined || bob === undefined || mallory === undefined) throw new Error('three digests');
  const cases = [
    [{ mine: mallory, theirs: alice }, 'ACCOUNT_MISMATCH'],
    [{ mine: bob, theirs: mallory }, 'ACCOUNT_MISTOLD'],
    [undefined, 'ACCOUNT_MISMATCH'],
    [{ mine: bob, theirs: alice }, undefined],
  ] as const;
  for (const [said, code] of cases) {
    const tested = new Bench(4, undefined, { mine: alice, theirs: bob });
    const hello = { ...HELLO, security: null, heard: null, features: [] };
    tested.session.events.control(encodeControl(said === undefined ? hello : { ...hello, accounts: said }));
    expect(tested.link.state).toBe(code === undefined ? 'online' : 'closed');
    expect(tested.link.refusal?.code).toBe(code);
    expect(tested.onlines).toBe(code === undefined ? 1 : 0);
    tested.expectSane();
    tested.link.close('the test is over');
  }
});

test('a flood of control messages ends that link and no other', () => {
  bench.goOnline();
  for (let count = 0; count < 3_000; count++) bench.session.events.control('{"t":"pong","id":1}');
  expect(bench.closed).toEqual(['the peer floods the control channel']);
  expect(neighbour.link.state).toBe('online');
});

const good = corpus('control')
  .filter((sample) => sample.good)
  .map(({ data }) => data.toString('utf8'));
const control = fc.oneof(
  fc.constantFrom(...good),
  fc.constantFrom(...good).chain((text) => nearlyValid(JSON.parse(text))),
  fc.json(),
  fc.string({ unit: 'binary' }),
);
const step = fc.oneof(
  { weight: 6, arbitrary: control.map((text) => ({ do: 'control' as const, text })) },
  {
    weight: 3,
    arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => ({ do: 'frames' as const, bytes })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('open', 'writable', 'gathered', 'tick')
      .map((event) => ({ do: 'event' as const, event })),
  },
);

test('whatever a peer sends in whatever order, nothing throws, one end is told once, and its neighbour never notices', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const fuzzed = new Bench(4);
      const { events } = fuzzed.session;
      let now = monotonicMs();
      for (const what of steps) {
        now += 250;
        if (what.do === 'control') events.control(what.text);
        else if (what.do === 'frames') events.frames(what.bytes);
        else if (what.event === 'tick') fuzzed.link.tick(now);
        else if (what.event === 'open') events.open();
        else if (what.event === 'writable') events.writable();
        else events.gathered();
        fuzzed.expectSane();
        fuzzed.link.report(now);
      }
      expect(fuzzed.onlines === 0 ? fuzzed.chunks : 0).toBe(0);
      fuzzed.link.close('the run is over');
      fuzzed.expectSane();
    }),
    { numRuns: 1_500 },
  );
  expect(neighbour.link.state).toBe('online');
  expect(neighbour.closed).toEqual([]);
});

const KEY = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x ?? '';
const epoch = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(2 ** 31 - 1));
// The second is of low order: an agreement with it gives zeros (RFC 7748 §6.1).
const key = fc.constantFrom(KEY, 'A'.repeat(43), '_'.repeat(43));
const terms = { plain: fc.boolean(), aes: fc.boolean() };
const address = fc.record({
  ip: fc.constantFrom(
    '203.0.113.9',
    '0.0.0.0',
    '127.0.0.1',
    '255.255.255.255',
    '172.31.0.1',
    '224.0.0.1',
    '::1',
    'fe80::1',
  ),
  port: fc.constantFrom(1, 53, 5000, 65_535),
  kind: fc.constantFrom('host' as const, 'mapped' as const),
});
const directMessage = fc.oneof(
  fc.record({
    t: fc.constant('direct_offer'),
    epoch,
    index: fc.constantFrom(1, 2, 2 ** 32 - 1),
    key,
    ...terms,
  }),
  fc.record({ t: fc.constant('direct_answer'), epoch, key, ...terms }),
  fc.record({ t: fc.constantFrom('direct_ready', 'direct_using'), epoch }),
  fc.record({ t: fc.constant('direct_candidates'), list: fc.array(address, { maxLength: 32 }) }),
);
const directStep = fc.oneof(
  { weight: 6, arbitrary: directMessage.map((message) => ({ control: JSON.stringify(message) })) },
  {
    weight: 2,
    arbitrary: directMessage.chain((message) => nearlyValid(message)).map((text) => ({ control: text })),
  },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 120 }).map((datagram) => ({ datagram })) },
);

test('whatever a peer says about the direct carrier and whatever datagrams come, the link stays and no other is touched', () => {
  fc.assert(
    fc.property(fc.array(directStep, { maxLength: 30 }), (steps) => {
      const { node, port } = newDirectNode();
      const fuzzed = new Bench(5, node);
      const other = new Bench(6, node);
      fuzzed.goOnline();
      other.goOnline();
      const untouched = JSON.stringify([...port.receivers].filter(([, { link }]) => link === 6));
      for (const what of steps) {
        if ('control' in what) fuzzed.session.events.control(what.control);
        else port.inject(what.datagram, { ip: '203.0.113.66', port: 4000 });
        fuzzed.link.tick(monotonicMs());
      }
      expect(fuzzed.link.state).toBe('online');
      fuzzed.expectSane();
      expect(other.link.state).toBe('online');
      expect(JSON.stringify([...port.receivers].filter(([, { link }]) => link === 6))).toBe(untouched);
      // Nothing is probed for a peer that cannot prove the key, and nothing is ever answered to a stranger.
      expect(port.links.get(6)?.path ?? null).toBeNull();
      fuzzed.link.close('the run is over');
      other.link.close('the run is over');
      expect(port.receivers.size).toBe(0);
      node.close();
    }),
    { numRuns: 500 },
  );
});
