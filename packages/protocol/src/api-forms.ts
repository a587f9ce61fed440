import { ApiEnvelope, type Direction, ENVELOPE_VERSION, type OpenFailure } from './api-envelope.ts';
import type { ApiReply } from './api-replies.ts';

/**
 * Byte 0 of a datagram: how the rest is to be read. 2 and 3 are IPOP's (14.01.2 to 15.01, and 16.x): two bytes, then the payload.
 * 4 is ours, which proves the secret.
 */
export type ApiForm = 2 | 3 | typeof ENVELOPE_VERSION;

/** Where somebody who speaks the API is, and in which form. */
export interface Endpoint {
  address: string;
  port: number;
  form: ApiForm;
}

export type ApiAuth = 'secret' | 'none';

const IPOP_HEADER_BYTES = 2;

export type ReadResult =
  | { ok: true; form: ApiForm; type: number; payload: Uint8Array }
  | { ok: false; why: OpenFailure };

/** Reads and writes datagrams of all forms. */
export class ApiForms {
  readonly #envelope: ApiEnvelope;
  readonly #auth: ApiAuth;

  /**
   * @param startedAt CLOCK_MONOTONIC in nanoseconds, as ApiEnvelope takes it
   * @param sends which way this end speaks: `reply` is who serves the API
   */
  constructor(secret: Uint8Array, auth: ApiAuth, startedAt: bigint, sends: Direction = 'reply') {
    this.#envelope = new ApiEnvelope(secret, sends, startedAt);
    this.#auth = auth;
  }

  /** `now` as startedAt. IPOP's forms prove nothing, so they are read only where the API is open to all. */
  read(datagram: Buffer, now: bigint): ReadResult {
    const form = datagram[0];
    if ((form === 2 || form === 3) && this.#auth === 'none') {
      if (datagram.length < IPOP_HEADER_BYTES) return { ok: false, why: 'truncated' };
      return { ok: true, form, type: datagram[1] ?? 0, payload: datagram.subarray(IPOP_HEADER_BYTES) };
    }
    const opened = this.#envelope.open(datagram, now);
    return opened.ok ? { ...opened, form: ENVELOPE_VERSION } : opened;
  }

  write(form: ApiForm, type: number, payload: Uint8Array, now: bigint): Buffer {
    if (form === ENVELOPE_VERSION) return this.#envelope.seal(type, payload, now);
    return Buffer.concat([Uint8Array.of(form, type), payload]);
  }
}

/** The JSON of a message. IPOP's form is indented as its jsoncpp does it, and names a peer's message by its type. */
export function encodeReply(form: ApiForm, message: ApiReply): Buffer {
  if (form === ENVELOPE_VERSION || message.type !== 'peer_message') return encodeObject(form, message);
  return encodeObject(form, { type: message.m, uid: message.uid, data: message.data });
}

/** Any JSON object in the way of a form. */
export function encodeObject(form: ApiForm, object: object): Buffer {
  return Buffer.from(
    form === ENVELOPE_VERSION ? JSON.stringify(object) : `${JSON.stringify(object, null, 3)}\n`,
  );
}
