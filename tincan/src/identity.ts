import { webcrypto } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BugError, SystemError } from '@kith/base';
import { fingerprintOf, macOfUid, type Uid, uidOfFingerprint } from '@kith/protocol';

/** A node's identity: who proves this certificate in DTLS is this UID. */
export interface Identity {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** SHA-256 fingerprint of the certificate (RFC 8122 §5). */
  readonly fingerprint: string;
  readonly uid: Uid;
  /** The MAC that follows from the UID. */
  readonly mac: Uint8Array;
}

/** P-256: node-datachannel's OpenSSL 1.1.1 fails the DTLS handshake with Ed25519 certificates. */
const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * The certificate is an identity, checked by fingerprint and never by date; RFC 5280 §4.1.2.5 names this date for a certificate
 * without a well-defined end.
 */
const NO_WELL_DEFINED_END = new Date('9999-12-31T23:59:59Z');

/**
 * Reads the identity from `file`, or makes one there (mode 0600) when the file does not exist.
 * @throws SystemError IDENTITY_UNREADABLE, IDENTITY_EXPOSED or IDENTITY_DAMAGED; a damaged identity is never replaced silently,
 * because the peers have pinned it.
 */
export async function loadIdentity(file: string): Promise<Identity> {
  let pem: string;
  try {
    pem = await readFile(file, 'utf8');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) {
      throw new SystemError('IDENTITY_UNREADABLE', `cannot read the identity ${file}`, { cause });
    }
    const fresh = await createIdentity();
    await writeSecret(file, fresh.keyPem + fresh.certificatePem);
    return fresh;
  }
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    throw new SystemError(
      'IDENTITY_EXPOSED',
      `others may read the identity; mend it with: chmod 600 ${file}`,
    );
  }
  return parseIdentity(pem, file);
}

function parseIdentity(pem: string, file: string): Identity {
  const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n?/.exec(pem)?.[0];
  const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/.exec(pem)?.[0];
  if (keyPem === undefined || certificatePem === undefined) {
    throw new SystemError('IDENTITY_DAMAGED', `${file} does not hold a private key and a certificate`);
  }
  return describe(keyPem, certificatePem);
}

function describe(keyPem: string, certificatePem: string): Identity {
  const der = Buffer.from(certificatePem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const fingerprint = fingerprintOf(der);
  const uid = uidOfFingerprint(fingerprint);
  return { keyPem, certificatePem, fingerprint, uid, mac: macOfUid(uid) };
}

/** A fresh self-signed P-256 identity, not yet on disk. */
export async function createIdentity(): Promise<Identity> {
  // Loaded only here: a node makes an identity once in its life, and the library costs some 10 MB and 100 ms.
  await import('reflect-metadata');
  const { X509CertificateGenerator, cryptoProvider } = await import('@peculiar/x509');
  cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=kith',
    notBefore: new Date(0),
    notAfter: NO_WELL_DEFINED_END,
    signingAlgorithm: KEY_ALGORITHM,
    keys,
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const body = pkcs8.match(/.{1,64}/g);
  if (body === null) throw new BugError('IDENTITY_EMPTY_KEY', 'the exported key is empty');
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${body.join('\n')}\n-----END PRIVATE KEY-----\n`;
  return describe(keyPem, `${certificate.toString('pem').trim()}\n`);
}

/** Writes a secret so that a crash leaves either the old file or the whole new one, readable by the owner only. */
export async function writeSecret(
  file: string,
  text: string,
  owner?: { uid: number; gid: number },
): Promise<void> {
  const temporary = `${file}.${process.pid}.new`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      if (owner !== undefined && process.geteuid?.() === 0) await handle.chown(owner.uid, owner.gid);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(temporary, 0o600);
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new SystemError('SECRET_UNWRITABLE', `cannot write ${file}`, { cause });
  }
}
