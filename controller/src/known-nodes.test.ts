import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createLogger } from '@kith/base';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KnownNodes, MAX_PINS, type Pin } from './known-nodes.ts';

const log = createLogger('test', 'silent');
const uid = 'ab'.repeat(20);
const fpr = Array(32).fill('AB').join(':');
const pin: Pin = { jid: 'bob@x', fpr, verified: true, since: '2026-01-02T03:04:05.000Z' };
const uidOf = (index: number) => index.toString(16).padStart(40, '0');

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-pins-'));
  file = join(directory, 'nodes.json');
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function loaded(): Promise<KnownNodes> {
  const known = new KnownNodes(file, log);
  await known.load();
  return known;
}

test('pins are kept on disk, readable by the owner only, and nothing else is left behind', async () => {
  const known = await loaded();
  known.put(uid, pin);
  known.put(uidOf(1), { ...pin, fpr: null, verified: false });
  await known.saved();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(directory)).toEqual(['nodes.json']);
  const again = await loaded();
  expect(again.get(uid)).toEqual(pin);
  expect(again.nodesOf('bob@x')).toEqual([uid, uidOf(1)]);
  expect(again.problem).toBeNull();
});

test('a held address is kept with its pin, found by the address, and gone with either', async () => {
  const held = { ip4: '172.31.0.2', since: '2026-01-02T03:04:05.000Z' };
  const known = await loaded();
  known.put(uid, pin);
  known.put(uid, { ...pin, held });
  known.put(uidOf(1), { ...pin, held });
  await known.saved();
  const again = await loaded();
  expect(again.get(uid)).toEqual({ ...pin, held });
  expect(again.holders('172.31.0.2')).toEqual([uid, uidOf(1)]);
  again.put(uid, { ...pin, held: { ...held, ip4: '172.31.0.3' } });
  expect([again.holders('172.31.0.2'), again.holders('172.31.0.3')]).toEqual([[uidOf(1)], [uid]]);
  again.put(uid, pin);
  again.remove(uidOf(1));
  expect([again.holders('172.31.0.2'), again.holders('172.31.0.3')]).toEqual([[], []]);
  await again.saved();
  expect((await loaded()).get(uid)).toEqual(pin);
});

test('what an earlier crash left half written beside the file is neither read nor kept, whatever its mode or kind', async () => {
  const known = await loaded();
  known.put(uid, pin);
  await known.saved();
  const other = join(directory, 'elsewhere');
  await writeFile(other, 'mine', { mode: 0o644 });
  await symlink(other, `${file}.new`);
  const again = await loaded();
  expect(again.size).toBe(1);
  again.put(uidOf(2), pin);
  await again.saved();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(other, 'utf8')).toBe('mine');
  expect((await loaded()).size).toBe(2);
});

test('however short the file was cut, it is an error that names it, and the file stays as it is', async () => {
  const known = await loaded();
  known.put(uid, pin);
  await known.saved();
  const text = await readFile(file, 'utf8');
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: text.trimEnd().length - 1 }), async (length) => {
      await writeFile(file, text.slice(0, length));
      await expect(loaded()).rejects.toMatchObject({
        code: 'PINS_DAMAGED',
        message: expect.stringContaining(file),
      });
      expect(await readFile(file, 'utf8')).toBe(text.slice(0, length));
    }),
    { numRuns: 50 },
  );
});

test.each([
  ['a UID that is none', { uid: 'x', jid: 'bob@x' }],
  ['no JID', { uid }],
  ['something that nobody wrote', { uid, jid: 'bob@x', trusted: true }],
])('an entry with %s is damage, not an entry less', async (_what, node) => {
  await writeFile(file, JSON.stringify({ version: 1, nodes: [node] }));
  await expect(loaded()).rejects.toMatchObject({ code: 'PINS_DAMAGED' });
});

test('a file that stands twice for one UID is damage', async () => {
  const node = { uid, ...pin };
  await writeFile(file, JSON.stringify({ version: 2, nodes: [node, { ...node, jid: 'eve@x' }] }));
  await expect(loaded()).rejects.toMatchObject({ code: 'PINS_DAMAGED' });
});

test('a file that cannot be read is not an empty one', async () => {
  await mkdir(file);
  await expect(loaded()).rejects.toMatchObject({
    code: 'PINS_UNREADABLE',
    message: expect.stringContaining(file),
  });
});

test('the form of the first version is read: its nodes are pinned, none is verified', async () => {
  await writeFile(file, JSON.stringify({ version: 1, nodes: [{ uid, jid: 'bob@x' }] }));
  expect((await loaded()).get(uid)).toMatchObject({ jid: 'bob@x', verified: false, fpr: null });
});

test('a pin never changes its member, and at the limit none makes way', async () => {
  const known = new KnownNodes(join(directory, 'none', 'nodes.json'), log);
  for (let i = 0; i < MAX_PINS; i++) expect(known.put(uidOf(i), pin)).toBe(true);
  expect(known.put(uidOf(MAX_PINS), pin)).toBe(false);
  expect(known.put(uidOf(0), { ...pin, jid: 'eve@x' })).toBe(false);
  expect(known.jidOf(uidOf(0))).toBe('bob@x');
  known.remove(uidOf(0));
  expect(known.put(uidOf(MAX_PINS), pin)).toBe(true);
  expect(known.size).toBe(MAX_PINS);
  await known.saved();
});

test('a file that cannot be written is reported, and written when it can be', async () => {
  const target = join(directory, 'later');
  const known = new KnownNodes(join(target, 'nodes.json'), log);
  known.put(uid, pin);
  await known.saved();
  expect(known.problem).toContain(target);
  await mkdir(target);
  await chmod(target, 0o700);
  known.put(uidOf(1), pin);
  await known.saved();
  expect(known.problem).toBeNull();
  expect(JSON.parse(await readFile(join(target, 'nodes.json'), 'utf8')).nodes).toHaveLength(2);
});

/** Pins one node after the other, and says how many are on disk. Arguments: the module, the file. */
const PINNER = `
const { KnownNodes } = await import(process.argv[1]);
const known = new KnownNodes(process.argv[2], { error: console.error });
await known.load();
for (let i = known.size; ; i++) {
  known.put(i.toString(16).padStart(40, '0'), { jid: 'bob@x', fpr: null, verified: false, since: '' });
  await known.saved();
  if (known.problem === null) process.stdout.write(known.size + '\\n');
}
`;

test('killed at any moment of writing, nothing that was said to be kept is lost', async () => {
  const module = new URL('../dist/known-nodes.js', import.meta.url).href;
  let kept = 0;
  for (const lines of [1, 7, 20, 33, 50]) {
    const args = ['--input-type=module', '-e', PINNER, module, file];
    const pinner = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(pinner, 'exit');
    let left = lines;
    for await (const line of createInterface({ input: pinner.stdout })) {
      kept = Number(line);
      if (--left === 0) pinner.kill('SIGKILL');
    }
    await ended;
    const known = await loaded();
    expect(known.size).toBeGreaterThanOrEqual(kept);
    expect(known.size).toBeLessThanOrEqual(kept + 1);
  }
  expect(kept).toBeGreaterThan(100);
});
