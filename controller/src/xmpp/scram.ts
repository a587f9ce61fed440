import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ConfigError, PeerError } from '@kith/base';
import { prepareCredential } from './saslprep.ts';

export type ScramHash = 'sha256' | 'sha1';

/** SASL name of each hash, the stronger first (RFC 7677, RFC 5802). */
export const SCRAM_MECHANISMS: readonly (readonly [string, ScramHash])[] = [
  ['SCRAM-SHA-256', 'sha256'],
  ['SCRAM-SHA-1', 'sha1'],
];

/** RFC 5802 §5.1 wants 4096 at least: with fewer, a false server learns enough to search for the password at its leisure. */
const ITERATIONS_MIN = 4096;
/**
 * The most that a careful operator sets (OWASP's 600 000 for PBKDF2 with SHA-256: about 0.3 s of one thread). Beyond it the server
 * would only burn our CPU.
 */
const ITERATIONS_MAX = 600_000;
/** 144 bits, in base64 without padding and without a comma, as RFC 5802 wants a nonce. */
const NONCE_BYTES = 18;
/** A server's message is a nonce, a salt and a number; this bounds what we parse. */
const MESSAGE_MAX = 4096;
/** No channel binding (RFC 5802 §7, `n`), no other authorisation identity. */
const GS2_HEADER = 'n,,';

const derive = promisify(pbkdf2);

function hmac(hash: ScramHash, key: Buffer, text: string | Buffer): Buffer {
  return createHmac(hash, key).update(text).digest();
}

function violation(text: string): PeerError {
  return new PeerError('XMPP_SCRAM', `the server's SCRAM message is wrong: ${text}`);
}

/**
 * The client's side of one SCRAM exchange (RFC 5802) without channel binding. Messages are text; the order is `first()`, then
 * `final(server's first)`, then `verify(server's final)`. Only after `verify` returned is `proven` true: the
 * server knew the password, or at least what it stored of it.
 */
export class Scram {
  readonly #hash: ScramHash;
  readonly #user: string;
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature: Buffer | null = null;
  #step: 'first' | 'final' | 'verify' | 'done' = 'first';
  #proven = false;

  /**
   * @param nonce only for tests with given vectors
   * @throws ConfigError if user or password hold characters that SASLprep forbids
   */
  constructor(
    hash: ScramHash,
    user: string,
    password: string,
    nonce = randomBytes(NONCE_BYTES).toString('base64'),
  ) {
    this.#hash = hash;
    // RFC 5802 §5.1: the two characters that structure a message are written as escapes in the name.
    this.#user = prepareCredential(user, 'xmpp.jid').replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.#password = prepareCredential(password, 'xmpp.password');
    if (this.#password === '')
      throw new ConfigError('XMPP_PASSWORD', 'the password is empty', { field: 'xmpp.password' });
    this.#nonce = nonce;
  }

  get proven(): boolean {
    return this.#proven;
  }

  /** client-first-message. */
  first(): string {
    this.#advance('first', 'final');
    return GS2_HEADER + this.#firstBare();
  }

  /**
   * client-final-message, made from the server-first-message. The slow derivation runs outside the JavaScript thread.
   * @throws PeerError XMPP_SCRAM if the server's message is malformed, out of order, not for our nonce or asks for absurd work
   */
  async final(serverFirst: string): Promise<string> {
    this.#advance('final', 'verify');
    const { nonce, salt, iterations } = parseServerFirst(serverFirst);
    // Strictly longer: the server must have added to it, or an old exchange could be replayed.
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) throw violation('nonce');
    const keyLength = createHash(this.#hash).digest().length;
    const salted = await derive(this.#password, salt, iterations, keyLength, this.#hash);
    const clientKey = hmac(this.#hash, salted, 'Client Key');
    const storedKey = createHash(this.#hash).update(clientKey).digest();
    const withoutProof = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${nonce}`;
    const authMessage = `${this.#firstBare()},${serverFirst},${withoutProof}`;
    const clientSignature = hmac(this.#hash, storedKey, authMessage);
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (clientSignature[i] ?? 0)));
    this.#serverSignature = hmac(this.#hash, hmac(this.#hash, salted, 'Server Key'), authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /**
   * Checks the server-final-message.
   * @throws PeerError XMPP_SERVER_UNPROVEN if the server did not prove that it knows the password
   */
  verify(serverFinal: string): void {
    const expected = this.#serverSignature;
    const value = /^v=([A-Za-z0-9+/=]+)(?:,|$)/.exec(serverFinal.slice(0, MESSAGE_MAX))?.[1];
    if (this.#step !== 'verify' || expected === null || value === undefined) throw unproven();
    const given = Buffer.from(value, 'base64');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw unproven();
    this.#step = 'done';
    this.#proven = true;
  }

  #firstBare(): string {
    return `n=${this.#user},r=${this.#nonce}`;
  }

  #advance(from: 'first' | 'final', to: 'final' | 'verify'): void {
    if (this.#step !== from) throw violation('out of order');
    this.#step = to;
  }
}

function unproven(): PeerError {
  return new PeerError(
    'XMPP_SERVER_UNPROVEN',
    'the server did not prove that it knows the password; it may be a false one',
  );
}

function parseServerFirst(text: string): { nonce: string; salt: Buffer; iterations: number } {
  if (text.length > MESSAGE_MAX) throw violation('too long');
  // `m=` in front would be a mandatory extension (RFC 5802 §5.1), which must fail; anything may follow the iteration count.
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})(?:,.*)?$/.exec(text);
  const [, nonce, salt, count] = match ?? [];
  if (nonce === undefined || salt === undefined || count === undefined) throw violation('form');
  const iterations = Number(count);
  if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) {
    throw violation(`${iterations} iterations, accepted are ${ITERATIONS_MIN} to ${ITERATIONS_MAX}`);
  }
  return { nonce, salt: Buffer.from(salt, 'base64'), iterations };
}
