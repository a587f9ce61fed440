import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureApiSecret } from './api-secret.ts';

const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-secret-'));
  file = join(directory, 'run', 'api.secret');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('a missing secret is made, for its owner only, and stays the same', async () => {
  const secret = await ensureApiSecret(file, OWNER);
  expect(secret).toHaveLength(32);
  expect(await readFile(file, 'utf8')).toBe(`${secret.toString('hex')}\n`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await ensureApiSecret(file, OWNER)).toEqual(secret);
});

test('a secret that others may read is refused with what mends it', async () => {
  await ensureApiSecret(file, OWNER);
  await chmod(file, 0o640);
  await expect(ensureApiSecret(file, OWNER)).rejects.toMatchObject({
    code: 'API_SECRET_EXPOSED',
    message: expect.stringContaining(`chmod 600 ${file}`),
  });
});

test.each([
  ['empty', ''],
  ['too short', 'ab'.repeat(31)],
  ['no hex', 'zz'.repeat(32)],
  ['in upper case', 'AB'.repeat(32)],
])('a damaged secret (%s) is refused, not replaced', async (_, text) => {
  await ensureApiSecret(file, OWNER);
  await writeFile(file, text);
  await expect(ensureApiSecret(file, OWNER)).rejects.toMatchObject({ code: 'API_SECRET_DAMAGED' });
  expect(await readFile(file, 'utf8')).toBe(text);
});
