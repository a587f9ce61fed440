import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@kith/base';
import { encodeSignal, type Signal, uidOfFingerprint } from '@kith/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Admission } from './admission.ts';
import { KnownNodes } from './known-nodes.ts';
import { Membership } from './membership.ts';

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
let admission: Admission;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-admission-'));
  known = new KnownNodes(join(directory, 'nodes.json'), log);
  const membership = new Membership('me@x', 'friends');
  for (const jid of ['bob@x', 'eve@x']) membership.update({ jid, groups: ['friends'], subscription: 'both' });
  admission = new Admission(membership, known);
});
afterEach(async () => {
  await known.saved();
  await rm(directory, { recursive: true });
});

test('a member node with a sound signal is admitted', () => {
  expect(admission.judge(`bob@x/kith-${uid}`, 'con_req', data)).toEqual({ type: 'con_req', signal });
});

test('a stranger gets what an account without Kith would answer, and nothing of his signal is read', () => {
  for (const text of [data, 'nonsense', '']) {
    expect(admission.judge(`mallory@x/kith-${uid}`, 'con_req', text)).toEqual({
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
  expect(admission.judge(from, type, text)).toMatchObject({ refused });
});

test('a UID belongs to the member who used it first', () => {
  expect(admission.admits(`bob@x/kith-${uid}`, uid)).toBe(true);
  expect(admission.judge(`eve@x/kith-${uid}`, 'con_req', data)).toMatchObject({ refused: 'forbidden' });
  expect(admission.counters.refused_uid_of_other).toBe(1);
});

test('who owns a UID is kept on disk, readable by the owner only; a damaged file is set aside', async () => {
  admission.admits(`bob@x/kith-${uid}`, uid);
  await known.saved();
  const file = join(directory, 'nodes.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const again = new KnownNodes(file, log);
  await again.load();
  expect(again.jidOf(uid)).toBe('bob@x');
  await writeFile(file, '{"version":1,');
  const fresh = new KnownNodes(file, log);
  await fresh.load();
  expect(fresh.jidOf(uid)).toBeUndefined();
  expect(await readFile(`${file}.damaged`, 'utf8')).toBe('{"version":1,');
});

test('whatever comes from whomever, the verdict is a refusal or a sound signal', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.oneof(fc.string(), fc.json(), fc.constant(data)),
      (from, type, text) => {
        for (const sender of [from, `bob@x/${from}`, `bob@x/kith-${uid}`]) {
          const verdict = admission.judge(sender, type, text);
          expect(verdict.refused !== undefined || 'signal' in verdict).toBe(true);
        }
      },
    ),
  );
});
