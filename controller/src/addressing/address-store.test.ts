import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@kith/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AddressStore } from './address-store.ts';

const log = createLogger('test', 'silent');
const FRIEND = { uid: 'ab'.repeat(20), jid: 'bob@vpn.test', ip4: '10.0.0.9' };
let dir = '';
let file = '';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kith-addresses-'));
  file = join(dir, 'addresses.json');
});

afterEach(() => rm(dir, { recursive: true }));

test('what was saved last is there after a restart, for nobody else to read', async () => {
  const store = new AddressStore(file, log);
  expect(await store.load()).toEqual({ ip4: null, friends: [] });
  store.save({ ip4: '10.0.0.1', friends: [] });
  store.save({ ip4: '10.0.0.2', friends: [] });
  const held = { ip4: '10.0.0.3', since: '2026-01-02T03:04:05.000Z' };
  store.save({ ip4: '10.0.0.3', friends: [FRIEND], held });
  await store.saved();
  expect(await new AddressStore(file, log).load()).toEqual({ ip4: '10.0.0.3', friends: [FRIEND], held });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(dir)).toEqual(['addresses.json']);
});

test.each([
  '',
  '{',
  '[]',
  '{"version":2}',
  '{"version":1,"ip4":"x","friends":[]}',
  '{"version":1,"ip4":null,"friends":[{"uid":"1","jid":"a","ip4":"10.0.0.1"}]}',
])('a damaged file is set aside, and kept: %j', async (text) => {
  await writeFile(file, text);
  expect(await new AddressStore(file, log).load()).toEqual({ ip4: null, friends: [] });
  expect(await readFile(`${file}.damaged`, 'utf8')).toBe(text);
});

test('a disk that takes nothing is no reason to end', async () => {
  const store = new AddressStore(join(dir, 'missing', 'addresses.json'), log);
  store.save({ ip4: '10.0.0.1', friends: [] });
  await store.saved();
  expect(await store.load()).toEqual({ ip4: null, friends: [] });
});
