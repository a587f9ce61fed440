import { createHmac, randomFillSync, timingSafeEqual } from 'node:crypto';

/**
 * How a datagram of the JSON/UDP API proves the secret. Byte order is big-endian.
 *
 *      0        1       2          10         18
 *      version  type    stamp u64  nonce 8 B  payload ...  tag 16 B
 *
 * `version` and `type` stand where IPOP has them; version 0x04 says that stamp, nonce and tag follow. `stamp` is the sender's
 * CLOCK_MONOTONIC in nanoseconds, one clock for all processes of a machine, which is all that a loopback API can have as clients.
 * The tag is HMAC-SHA256 over all bytes before it, truncated to 128 bits (RFC 2104 §5), keyed per direction.
 */
export const ENVELOPE_VERSION = 0x04;
const HEADER_BYTES = 18;
const NONCE_OFFSET = 10;
const TAG_BYTES = 16;

/** Largest payload of a UDP datagram over IPv4: 65 535 - 20 (IP) - 8 (UDP). */
export const MAX_API_DATAGRAM = 65_507;
export const MAX_API_PAYLOAD = MAX_API_DATAGRAM - HEADER_BYTES - TAG_BYTES;

/** Byte 1 of an API datagram, as IPOP numbers them. */
export const API_TYPE_CONTROL = 0x01;

/**
 * A datagram is refused when its stamp is older than this: it bounds how many nonces a receiver must remember. Ten seconds is
 * longer than any stall of a healthy process between stamping and the other's reading.
 */
export const STAMP_WINDOW_NS = 10_000_000_000n;

/** Remembered datagrams per receiver; some 6 500 per second for the whole window, a hundred times what a controller sends. */
export const REPLAY_CAPACITY = 65_536;

export type Direction = 'call' | 'reply';

export type OpenFailure = 'version' | 'truncated' | 'tag' | 'stale' | 'replayed' | 'busy';
export type OpenResult = { ok: true; type: number; payload: Uint8Array } | { ok: false; why: OpenFailure };

/** Seals and opens API datagrams for one end. Time (CLOCK_MONOTONIC, nanoseconds) is passed in. */
export class ApiEnvelope {
  readonly #sealKey: Buffer;
  readonly #openKey: Buffer;
  readonly #startedAt: bigint;
  /** Nonce+stamp of accepted datagrams, oldest first (Map keeps insertion order). */
  readonly #seen = new Map<string, bigint>();

  /**
   * @param secret the shared secret's bytes
   * @param sends which direction this end sends: a client sends `call`, tincan sends `reply`
   * @param startedAt CLOCK_MONOTONIC in ns when this end began; earlier datagrams are stale, so a replay across a restart fails
   */
  constructor(secret: Uint8Array, sends: Direction, startedAt: bigint) {
    this.#sealKey = directionKey(secret, sends);
    this.#openKey = directionKey(secret, sends === 'call' ? 'reply' : 'call');
    this.#startedAt = startedAt;
  }

  seal(type: number, payload: Uint8Array, now: bigint): Buffer {
    const datagram = Buffer.allocUnsafe(HEADER_BYTES + payload.length + TAG_BYTES);
    datagram[0] = ENVELOPE_VERSION;
    datagram[1] = type;
    datagram.writeBigUInt64BE(now, 2);
    randomFillSync(datagram, NONCE_OFFSET, HEADER_BYTES - NONCE_OFFSET);
    datagram.set(payload, HEADER_BYTES);
    const body = datagram.subarray(0, HEADER_BYTES + payload.length);
    datagram.set(tagOf(this.#sealKey, body), HEADER_BYTES + payload.length);
    return datagram;
  }

  open(datagram: Buffer, now: bigint): OpenResult {
    if (datagram.length < 1 || datagram[0] !== ENVELOPE_VERSION) return { ok: false, why: 'version' };
    if (datagram.length < HEADER_BYTES + TAG_BYTES) return { ok: false, why: 'truncated' };
    const body = datagram.subarray(0, datagram.length - TAG_BYTES);
    if (!timingSafeEqual(tagOf(this.#openKey, body), datagram.subarray(body.length))) {
      return { ok: false, why: 'tag' };
    }
    const stamp = datagram.readBigUInt64BE(2);
    if (stamp < this.#startedAt || stamp < now - STAMP_WINDOW_NS || stamp > now + STAMP_WINDOW_NS) {
      return { ok: false, why: 'stale' };
    }
    const key = datagram.toString('latin1', 2, HEADER_BYTES);
    if (this.#seen.has(key)) return { ok: false, why: 'replayed' };
    this.#forgetBefore(now - STAMP_WINDOW_NS);
    if (this.#seen.size >= REPLAY_CAPACITY) return { ok: false, why: 'busy' };
    this.#seen.set(key, stamp);
    return { ok: true, type: datagram[1] ?? 0, payload: body.subarray(HEADER_BYTES) };
  }

  #forgetBefore(oldest: bigint): void {
    for (const [key, stamp] of this.#seen) {
      if (stamp >= oldest) break;
      this.#seen.delete(key);
    }
  }
}

function directionKey(secret: Uint8Array, direction: Direction): Buffer {
  return createHmac('sha256', secret).update(`kith api ${direction}`).digest();
}

function tagOf(key: Buffer, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update(body).digest().subarray(0, TAG_BYTES);
}
