import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@kith/base';
import { encodeSignal, type Signal, uidOfFingerprint } from '@kith/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Admission } from './admission.ts';
import { KnownNodes } from './known-nodes.ts';
import { Membership } from './membership.ts';
import { Trust } from './trust.ts';

const log = createLogger('test', 'silent');
const fpr = Array(32).fill('AB').join(':');
const uid = uidOfFingerprint(fpr);
const signal: Signal = {
  ...{ v: 1, uid, fpr, attempt: 1 },
  cas: '0:1:udp:10.0.0.1:5000:1:abcd:0123456789012345678901:local::0:1',
  security: { mode: 'always', groups: [], without_common_group: 'plain' },
};
const data = encodeSignal(signal);

let directory: string;
let known: KnownNodes;
let trust: Trust;
let admission: Admission;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-admission-'));
  known = new KnownNodes(join(directory, 'nodes.json'), log);
  const membership = new Membership('me@x', 'friends');
  for (const jid of ['bob@x', 'eve@x']) membership.update({ jid, groups: ['friends'], subscription: 'both' });
  trust = new Trust('first-use', known, 'me@x');
  admission = new Admission(membership, trust);
});
afterEach(async () => {
  await known.saved();
  await rm(directory, { recursive: true });
});

test('a member node with a sound signal is admitted', () => {
  expect(admission.judge(`bob@x/kith-${uid}`, 'con_req', data, 0)).toEqual({ type: 'con_req', signal });
});

test('a stranger gets what an account without Kith would answer, and nothing of his signal is read', () => {
  for (const text of [data, 'nonsense', '']) {
    expect(admission.judge(`mallory@x/kith-${uid}`, 'con_req', text, 0)).toEqual({
      refused: 'service-unavailable',
      detail: undefined,
    });
  }
  expect(admission.counters).toMatchObject({ refused_strangers: 3, refused_malformed: 0 });
});

test.each([
  ['an unknown type', `bob@x/kith-${uid}`, 'get_state', data, 'bad-request'],
  ['a resource that is no node', 'bob@x/phone', 'con_req', data, 'bad-request'],
  ["another node's UID", `bob@x/kith-${'00'.repeat(20)}`, 'con_req', data, 'bad-request'],
  ['data that is no signal', `bob@x/kith-${uid}`, 'con_req', '{"v":1}', 'bad-request'],
])('a member with %s is told so', (_what, from, type, text, refused) => {
  expect(admission.judge(from, type, text, 0)).toMatchObject({ refused });
});

test('a UID belongs to the member who used it first', () => {
  expect(admission.admits(`bob@x/kith-${uid}`, uid, 0)).toBe(true);
  expect(admission.judge(`eve@x/kith-${uid}`, 'con_req', data, 0)).toMatchObject({ refused: 'forbidden' });
  expect(trust.proved('bob@x', uid)).toBe(true);
  expect(admission.judge(`eve@x/kith-${uid}`, 'con_req', data, 0)).toMatchObject({ refused: 'forbidden' });
  expect(admission.counters.refused_uid_of_other).toBe(2);
});

test('a second node of a member is refused, noted once in the log, and its fingerprint is kept for whoever compares it', () => {
  known.put('12'.repeat(20), { jid: 'bob@x', fpr: null, verified: false, since: '' });
  const first = admission.judge(`bob@x/kith-${uid}`, 'con_req', data, 0);
  expect(first).toEqual({
    refused: 'not-allowed',
    detail: expect.stringContaining('unverified new node of bob@x'),
  });
  expect(admission.judge(`bob@x/kith-${uid}`, 'con_req', data, 0)).toEqual({
    refused: 'not-allowed',
    detail: undefined,
  });
  expect(trust.waiting.of('bob@x')).toMatchObject([{ uid, fpr }]);
});

test('a node that is met for the first time has no more than its own share either', () => {
  const heard = [...Array(3_000).keys()].filter(
    () => admission.judge(`bob@x/kith-${uid}`, 'con_req', data, 0).refused === undefined,
  );
  // One that began the first contact, and a burst.
  expect(heard).toHaveLength(201);
  expect(admission.judge('eve@x/phone', 'con_req', data, 0).refused).toBe('bad-request');
});

test('a flood of invented nodes is cut off, fills no log, and takes nothing from a pinned one', () => {
  trust.judge('bob@x', uid, 0);
  trust.proved('bob@x', uid);
  let lines = 0;
  for (let i = 0; i < 20_000; i++) {
    const invented = i.toString(16).padStart(40, '0');
    const verdict = admission.judge(`eve@x/kith-${invented}`, 'con_req', 'nonsense', 0);
    if (verdict.refused !== undefined && verdict.detail !== undefined) lines++;
    // Borrowing the pinned node's UID does not borrow its place either.
    admission.judge(`eve@x/kith-${uid}`, 'con_req', data, 0);
  }
  expect(lines).toBeLessThanOrEqual(20);
  expect(admission.counters.refused_flood).toBeGreaterThan(30_000);
  // The one that it borrowed is shown, as eve's attempt at it.
  expect([...trust.waiting.all()]).toMatchObject([{ jid: 'eve@x', uid }]);
  expect(admission.judge(`bob@x/kith-${uid}`, 'con_req', data, 0).refused).toBeUndefined();
  // A second later others are heard again.
  expect(admission.judge('eve@x/phone', 'con_req', data, 1_000).refused).toBe('bad-request');
});

test('whatever comes from whomever, the verdict is a refusal or a sound signal', () => {
  let now = 0;
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.oneof(fc.string(), fc.json(), fc.constant(data)),
      (from, type, text) => {
        for (const sender of [from, `bob@x/${from}`, `bob@x/kith-${uid}`]) {
          now += 1_000;
          const verdict = admission.judge(sender, type, text, now);
          expect(verdict.refused !== undefined || 'signal' in verdict).toBe(true);
        }
      },
    ),
  );
});
