import { createLogger, PeerError } from '@kith/base';
import {
  decodeSignal,
  encodeSignal,
  MAX_ATTEMPT,
  type SecurityTerms,
  type Signal,
  uidOfFingerprint,
} from '@kith/protocol';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { Admission } from '../../controller/dist/admission.js';
import { KnownNodes } from '../../controller/dist/known-nodes.js';
import { Membership } from '../../controller/dist/membership.js';
import { PeerMachine } from '../../controller/dist/peer-machine.js';
import type { PeerAction } from '../../controller/dist/peer-state.js';
import { Trust } from '../../controller/dist/trust.js';
import { corpus } from './corpus.ts';
import { nearlyValid } from './mutate.ts';

// The certificate that the corpus speaks of.
const FPR = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':');
const UID = uidOfFingerprint(FPR);
const MEMBER = `bob@vpn.test/kith-${UID}`;
const STRANGER = `carol@vpn.test/kith-${UID}`;
const CAS = '0:1:udp:203.0.113.9:5000:1:abcd:0123456789012345678901:local::0:1';
const VALID: Signal = {
  ...{ v: 1, uid: UID, fpr: FPR, attempt: 1, cas: CAS },
  security: { mode: 'always', groups: ['friends'], without_common_group: 'plain' },
};

let known: KnownNodes;
let admission: Admission;
let trust: Trust;
/** A second passes before each signal, so that none meets a limit of the rate. */
let now = 0;
const judge = (by: Admission, from: string, type: string, data: string) => {
  now += 1_000;
  return by.judge(from, type, data, now);
};

beforeEach(() => {
  const membership = new Membership('alice@vpn.test', undefined);
  membership.update({ jid: 'bob@vpn.test', groups: [], subscription: 'both' });
  known = new KnownNodes('/dev/null/none', createLogger('fuzz', 'silent'));
  trust = new Trust('first-use', known, 'alice@vpn.test');
  admission = new Admission(membership, trust);
});

test.each(corpus('signal'))('$name', ({ data, good }) => {
  const text = data.toString('utf8');
  const verdict = judge(admission, MEMBER, 'con_req', text);
  expect(verdict.refused).toBe(good ? undefined : 'bad-request');
  expect(admission.counters.refused_malformed).toBe(good ? 0 : 1);
  if (!good) expect(() => decodeSignal(text)).toThrow(PeerError);
  // A stranger gets the same answer to anything, and leaves no trace.
  expect(judge(admission, STRANGER, 'con_req', text)).toEqual({
    refused: 'service-unavailable',
    detail: undefined,
  });
  expect(known.nodesOf('carol@vpn.test')).toEqual([]);
});

const text = fc.oneof(
  nearlyValid({ ...VALID }),
  nearlyValid({ ...VALID.security }).map((security) => `{"v":1,"uid":"${UID}","security":${security}}`),
  fc.json(),
  fc.string({ unit: 'binary' }),
  // The field of candidates is a format of its own.
  fc
    .string({ unit: fc.constantFrom(...CAS, '[', ']', ' ', '\r', '\n') })
    .map((cas) => encodeSignal({ ...VALID, cas })),
);

test('whatever a member sends is either a signal or refused as malformed, and a stranger is always a stranger', () => {
  fc.assert(
    fc.property(fc.constantFrom('con_req', 'con_resp', 'get_state', ''), text, (type, data) => {
      const before = { ...admission.counters };
      const verdict = judge(admission, MEMBER, type, data);
      if (verdict.refused === undefined) expect(verdict.signal.uid).toBe(UID);
      else expect(admission.counters.refused_malformed).toBe(before.refused_malformed + 1);
      expect(judge(admission, STRANGER, type, data).refused).toBe('service-unavailable');
    }),
    { numRuns: 2_000 },
  );
});

test('a member cannot speak for the node of another member, whichever came first', () => {
  expect(judge(admission, MEMBER, 'con_req', encodeSignal(VALID)).refused).toBeUndefined();
  const membership = new Membership('alice@vpn.test', undefined);
  membership.update({ jid: 'carol@vpn.test', groups: [], subscription: 'both' });
  const other = new Admission(membership, trust);
  expect(judge(other, STRANGER, 'con_req', encodeSignal(VALID)).refused).toBe('forbidden');
  expect(judge(other, 'carol@vpn.test/kith-00', 'con_req', encodeSignal(VALID)).refused).toBe('bad-request');
  expect(trust.proved('bob@vpn.test', UID)).toBe(true);
  expect(known.jidOf(UID)).toBe('bob@vpn.test');
});

const terms: fc.Arbitrary<SecurityTerms> = fc.record({
  mode: fc.constantFrom('always' as const, 'groups' as const, 'never' as const),
  groups: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
  without_common_group: fc.constantFrom('plain' as const, 'refuse' as const),
});
const attempt = fc.oneof(
  fc.integer({ min: 1, max: 6 }),
  fc.constantFrom(MAX_ATTEMPT - 1, MAX_ATTEMPT),
  fc.integer({ min: 1, max: MAX_ATTEMPT }),
);
const cas = fc.constantFrom('', CAS, CAS.replace('abcd', 'efgh'), CAS.replace('abcd', 'ijkl'));

/** What can happen to a machine; what tincan says is made to fit the link that tincan would have. */
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      is: fc.constant('signal' as const),
      type: fc.constantFrom('con_req' as const, 'con_resp' as const),
      attempt,
      cas,
      security: terms,
    }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('described' as const), cas }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constantFrom('online' as const, 'offline' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      is: fc.constantFrom(
        'taken' as const,
        'present' as const,
        'absent' as const,
        'restarted' as const,
        'revoked' as const,
        'undelivered' as const,
        'unwanted' as const,
        'silent' as const,
        'heard' as const,
        'network' as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('tick' as const), ms: fc.nat(20_000) }) },
);
type MachineEvent = typeof event extends fc.Arbitrary<infer E> ? E : never;

/** A machine, and what tincan and the peer would see of its actions. */
class Harness {
  readonly machine: PeerMachine;
  now = 0;
  /** Attempt of the newest link that tincan has. */
  link: number | undefined;
  /** Whether that is online. */
  isOnline = false;
  /** The online link that stays beside a newer one until that is online. */
  old: number | undefined;

  constructor(mine: SecurityTerms) {
    this.machine = new PeerMachine(UID, mine, () => 0.5);
  }

  happen(what: MachineEvent): void {
    const { machine, now } = this;
    switch (what.is) {
      case 'signal':
        this.#perform(
          machine.signal(
            what.type,
            { ...VALID, attempt: what.attempt, cas: what.cas, security: what.security },
            now,
          ) ?? [],
        );
        break;
      case 'described':
        if (this.link !== undefined) this.#perform(machine.described(this.link, what.cas));
        break;
      case 'online':
        if (this.link === undefined) break;
        if (this.old !== undefined) this.#perform(machine.offline(this.old, 'replaced', now));
        this.old = undefined;
        this.isOnline = true;
        machine.online(this.link, now);
        break;
      case 'offline': {
        const { link } = this;
        this.#fallBack();
        if (link !== undefined) this.#perform(machine.offline(link, 'ended', now));
        break;
      }
      case 'taken':
        this.#perform(machine.taken(machine.attempt, now));
        break;
      case 'present':
        this.#perform(machine.present(now));
        break;
      case 'absent':
        this.#perform(machine.absent());
        break;
      case 'restarted':
        this.link = undefined;
        this.old = undefined;
        machine.tincanRestarted(now);
        break;
      case 'revoked':
        this.#perform(machine.revoke('removed'));
        break;
      case 'undelivered':
        this.#perform(machine.undelivered(machine.attempt, 'lost', now));
        break;
      case 'unwanted':
        this.#perform(machine.refusedByPeer(machine.attempt, 'unwanted'));
        break;
      case 'silent':
      case 'heard': {
        const online = this.old ?? (this.isOnline ? this.link : undefined);
        if (online === undefined) break;
        this.#perform(what.is === 'silent' ? machine.suspect(online, now) : machine.heardAgain(online));
        break;
      }
      case 'network':
        this.#perform(machine.networkChanged(now));
        break;
      case 'tick':
        this.now += what.ms;
        this.#perform(machine.tick(this.now));
        break;
    }
  }

  #perform(actions: readonly PeerAction[]): void {
    for (const action of actions) {
      expect(action.uid).toBe(UID);
      if (action.do === 'create-link') this.#create(action.attempt);
      else if (action.do === 'send') expect(action.cas).not.toBe('');
      else if (action.attempt === undefined) {
        this.link = undefined;
        this.old = undefined;
      } else if (action.attempt === this.link) this.#fallBack();
    }
  }

  #create(attempt: number): void {
    if (attempt === this.link) return;
    if (this.link !== undefined && this.isOnline) this.old = this.link;
    this.link = attempt;
    this.isOnline = false;
  }

  /** The newest link is gone. */
  #fallBack(): void {
    this.link = this.old;
    this.old = undefined;
    this.isOnline = this.link !== undefined;
  }
}

test('whatever valid signals and news come in whatever order, the machine and the link that tincan has agree', () => {
  const mode: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };
  const asks = (attempt: number, cas: string): MachineEvent => ({
    ...{ is: 'signal', type: 'con_req', attempt, cas, security: mode },
  });
  // A dropped attempt is asked for again by the session of the link that goes on.
  const askedForDropped: MachineEvent[] = [
    ...[asks(1, CAS), { is: 'online' as const }, asks(5, CAS.replace('abcd', 'ijkl')), asks(1, CAS)],
    ...[{ is: 'offline' as const }, asks(6, CAS), { is: 'online' as const }],
  ];
  fc.assert(
    fc.property(terms, fc.array(event, { maxLength: 60 }), (mine, events) => {
      const harness = new Harness(mine);
      for (const what of events) {
        const before = harness.machine.attempt;
        harness.happen(what);
        const { state, attempt: now } = harness.machine;
        expect(now).toBeGreaterThanOrEqual(before);
        expect(now).toBeLessThanOrEqual(MAX_ATTEMPT);
        const isLinked = state.is === 'connecting' || state.is === 'online';
        // Nothing runs on behalf of a machine that does not know of it.
        if (!isLinked) expect(harness.link, `${state.is} after ${what.is}`).toBeUndefined();
        // And nothing is waited for without an end.
        if (isLinked && harness.link === undefined)
          expect(harness.machine.nextDeadline()).toBeLessThan(Number.POSITIVE_INFINITY);
      }
    }),
    { numRuns: 3_000, examples: [[mode, askedForDropped]] },
  );
});
