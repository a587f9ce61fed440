import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@kith/base';
import type { TrustMode } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KnownNodes } from './known-nodes.ts';
import { Trust } from './trust.ts';
import { TrustCommands } from './trust-commands.ts';

const uidOf = (index: number) => index.toString(16).padStart(40, '0');
const [one, two, three] = [uidOf(1), uidOf(2), uidOf(3)];
const fpr = Array(32).fill('AB').join(':');

let directory: string;
let known: KnownNodes;
let trust: Trust;
let commands: TrustCommands;
let changes: number;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-trust-'));
  use('first-use', join(directory, 'nodes.json'));
});
afterEach(async () => {
  await known.saved();
  await rm(directory, { recursive: true });
});

function use(mode: TrustMode, file: string): void {
  known = new KnownNodes(file, createLogger('test', 'silent'));
  trust = new Trust(mode, known, 'me@x');
  changes = 0;
  commands = new TrustCommands(
    trust,
    () => ({ jid: 'me@x', uid: uidOf(9), fpr }),
    () => changes++,
  );
}

/** bob has a pinned node, and `news` new ones. */
function bobWith(...news: string[]): void {
  known.put(one, { jid: 'bob@x', fpr, verified: false, since: '' });
  for (const uid of news) trust.judge('bob@x', uid, 0);
}

const accept = (name: string, uid?: string) =>
  commands.run({ m: 'trust', do: 'accept', name, ...(uid === undefined ? {} : { uid }) });
const forget = (name: string, uid?: string) =>
  commands.run({ m: 'trust', do: 'forget', name, ...(uid === undefined ? {} : { uid }) });
const verify = (name: string, confirm: boolean, uid?: string) =>
  commands.run({ m: 'trust', do: 'verify', name, confirm, ...(uid === undefined ? {} : { uid }) });

test('accepting the one new node of a member pins it, on disk too, and has the links looked at', async () => {
  bobWith(two);
  const answer = await accept('bob');
  expect(answer.nodes).toMatchObject([{ name: 'bob@x', uid: two, trust: 'pinned' }]);
  expect(trust.allows('bob@x', two)).toBe(true);
  expect(changes).toBe(1);
  const again = new KnownNodes(join(directory, 'nodes.json'), createLogger('test', 'silent'));
  await again.load();
  expect(again.nodesOf('bob@x')).toEqual([one, two]);
});

test('where several new nodes wait, none is accepted without its UID', async () => {
  bobWith(two, three);
  await expect(accept('bob@x')).rejects.toMatchObject({
    code: 'TRUST_WHICH',
    message: expect.stringContaining(`${two}, ${three}`),
  });
  await accept('bob@x', three);
  expect([trust.allows('bob@x', two), trust.allows('bob@x', three)]).toEqual([false, true]);
});

test('a node can be accepted before it was ever seen, so that a flood cannot keep it out', async () => {
  bobWith();
  expect((await accept('bob', two)).nodes).toMatchObject([{ uid: two, trust: 'pinned' }]);
  await expect(accept('bob')).rejects.toMatchObject({ code: 'TRUST_NOTHING', field: 'name' });
});

test('another member’s node, and this very one, are not accepted', async () => {
  bobWith();
  await expect(accept('eve', one)).rejects.toMatchObject({
    code: 'TRUST_UID_TAKEN',
    message: expect.stringContaining('bob@x'),
  });
  await expect(accept('me', uidOf(9))).rejects.toMatchObject({ code: 'TRUST_SELF' });
  await expect(accept('bob@x/phone')).rejects.toMatchObject({ code: 'TRUST_NAME' });
  expect(changes).toBe(0);
});

test('forgetting one node leaves the others; forgetting all makes the member one that is met for the first time', async () => {
  bobWith(two);
  await accept('bob', two);
  expect((await forget('bob', one)).nodes).toMatchObject([{ uid: one, trust: 'pinned' }]);
  expect(trust.judge('bob@x', one, 0).is).toBe('waiting');
  await forget('bob');
  expect(trust.judge('bob@x', one, 0).is).toBe('trusted');
  await expect(forget('bob')).rejects.toMatchObject({ code: 'TRUST_NOTHING' });
});

test('strict: accepting is refused; comparing and confirming admits', async () => {
  use('strict', join(directory, 'nodes.json'));
  trust.judge('bob@x', one, 0);
  await expect(accept('bob')).rejects.toMatchObject({ code: 'TRUST_STRICT' });
  await expect(verify('bob', true)).rejects.toMatchObject({ code: 'TRUST_NOT_SHOWN' });
  const [shown] = (await verify('bob', false)).nodes;
  expect(shown).toMatchObject({ uid: one, trust: 'new', code: expect.stringMatching(/^(?:\d{5} ?){8}$/) });
  expect(trust.allows('bob@x', one)).toBe(false);
  expect((await verify('bob', true)).nodes).toMatchObject([{ uid: one, trust: 'verified' }]);
  expect(trust.judge('bob@x', one, 0)).toEqual({ is: 'trusted' });
});

test('a node that took the place of the one whose code was shown is not confirmed in its stead', async () => {
  use('strict', join(directory, 'nodes.json'));
  trust.judge('bob@x', one, 0);
  await verify('bob', false);
  trust.waiting.remove('bob@x', one);
  trust.judge('bob@x', two, 0);
  await expect(verify('bob', true)).rejects.toMatchObject({ code: 'TRUST_NOT_SHOWN' });
  await verify('bob', false);
  trust.judge('bob@x', three, 0);
  await expect(verify('bob', true)).rejects.toMatchObject({ code: 'TRUST_WHICH' });
});

test('what cannot be written is done for now, and said to be forgotten', async () => {
  use('first-use', join(directory, 'none', 'nodes.json'));
  trust.judge('bob@x', two, 0);
  await expect(accept('bob', two)).rejects.toMatchObject({ code: 'TRUST_NOT_SAVED' });
  expect(trust.allows('bob@x', two)).toBe(true);
});

test('list names what is pinned, what waits, and this node', async () => {
  bobWith(two);
  const { nodes, self, mode } = await commands.run({ m: 'trust', do: 'list' });
  expect(nodes.map(({ uid, trust: level }) => [uid, level])).toEqual([
    [one, 'pinned'],
    [two, 'new'],
  ]);
  expect({ self, mode }).toEqual({
    self: { name: 'me@x', uid: uidOf(9), fingerprint: fpr },
    mode: 'first-use',
  });
});
