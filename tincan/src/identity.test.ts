import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isUid } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureApiSecret } from './api-secret.ts';
import { loadIdentity } from './identity.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kith-identity-'));
});
afterEach(() => rm(directory, { recursive: true }));

const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

test('an identity is made once, readable by its owner only, and is the same ever after', async () => {
  const file = join(directory, 'state', 'identity.pem');
  const made = await loadIdentity(file);
  const read = await loadIdentity(file);
  expect(read).toEqual(made);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(isUid(made.uid)).toBe(true);
  const certificate = new X509Certificate(made.certificatePem);
  expect(certificate.fingerprint256).toBe(made.fingerprint);
  expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
});

test('an identity that others may read, or that is damaged, is refused with the cure and never replaced', async () => {
  const file = join(directory, 'identity.pem');
  await loadIdentity(file);
  await chmod(file, 0o644);
  await expect(loadIdentity(file)).rejects.toThrow(`chmod 600 ${file}`);
  await chmod(file, 0o600);
  await writeFile(file, 'not a key');
  await expect(loadIdentity(file)).rejects.toMatchObject({ code: 'IDENTITY_DAMAGED' });
  expect(await readFile(file, 'utf8')).toBe('not a key');
});

test('the API secret is made once with mode 0600 and kept', async () => {
  const file = join(directory, 'api.secret');
  const first = await ensureApiSecret(file, self);
  expect(first).toHaveLength(32);
  expect(await ensureApiSecret(file, self)).toEqual(first);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await chmod(file, 0o640);
  await expect(ensureApiSecret(file, self)).rejects.toThrow(`chmod 600 ${file}`);
});
