import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { SystemError } from '@kith/base';
import { writeSecret } from './identity.ts';

/** 256 bits, the key length of the HMAC that proves it. */
const SECRET_BYTES = 32;

/**
 * The API's secret from `file`, made there when missing: 64 hex digits, mode 0600, owned by the controller's user.
 * @throws SystemError API_SECRET_EXPOSED, API_SECRET_DAMAGED or SECRET_UNWRITABLE.
 */
export async function ensureApiSecret(file: string, owner: { uid: number; gid: number }): Promise<Buffer> {
  const existing = await readSecret(file);
  if (existing !== undefined) return existing;
  const secret = randomBytes(SECRET_BYTES);
  await writeSecret(file, `${secret.toString('hex')}\n`, owner);
  return secret;
}

async function readSecret(file: string): Promise<Buffer | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new SystemError('API_SECRET_UNREADABLE', `cannot read the API secret ${file}`, { cause });
  }
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    throw new SystemError(
      'API_SECRET_EXPOSED',
      `others may read the API secret; mend it with: chmod 600 ${file}`,
    );
  }
  const hex = text.trim();
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new SystemError(
      'API_SECRET_DAMAGED',
      `${file} must hold 64 hex digits; delete it to have a new one made`,
    );
  }
  return Buffer.from(hex, 'hex');
}
