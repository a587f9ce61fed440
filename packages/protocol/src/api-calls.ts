import { PeerError } from '@kith/base';
import { z } from 'zod';
import { parseCandidates } from './candidate.ts';
import { securityTerms } from './security-terms.ts';
import { MAX_ATTEMPT, MAX_SIGNAL_CHARS } from './signal.ts';
import { isFingerprint, isUid } from './uid.ts';

/** IPOP's jsoncpp took 0, 1 and booleans for each other; controllers in the field send both. */
const flag = z
  .union([z.boolean(), z.literal(0), z.literal(1)], 'must be true, false, 0 or 1')
  .transform(Boolean);
const uid = z.string('must be a string of 40 hex digits').refine(isUid, 'must be 40 hex digits');
const port = z.number().int().min(1).max(65_535);
const host = z.string().min(1).max(255);
const prefix = (max: number) => z.number().int().min(0).max(max);

/** STUN and TURN servers that one link may use; node-datachannel takes one STUN and two TURN servers of them. */
const MAX_ICE_SERVERS = 8;
const iceServer = z.object({
  type: z.enum(['stun', 'turn']),
  host,
  port,
  username: z.string().max(512).optional(),
  password: z.string().max(512).optional(),
});
export type IceServer = z.output<typeof iceServer>;

const candidates = z
  .string()
  .max(MAX_SIGNAL_CHARS)
  .superRefine((text, context) => {
    try {
      parseCandidates(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is invalid' });
    }
  });

/** The calls of tincan's API by IPOP's names; fields that IPOP does not have are marked. */
const calls = {
  set_cb_endpoint: z.object({ ip: host, port }),
  set_local_ip: z.object({
    /** Our UID follows from the certificate; a caller may name it to make sure. */
    uid: uid.optional(),
    ip4: z.ipv4().optional(),
    ip4_mask: prefix(32).default(24),
    ip6: z.ipv6().optional(),
    ip6_mask: prefix(128).default(64),
    subnet_mask: prefix(32).optional(),
    switchmode: flag.optional(),
  }),
  create_link: z.object({
    uid,
    /** May be left out while `cas` is empty: candidates can be gathered before the peer has said anything. */
    fpr: z
      .string()
      .refine(
        (text) => text === '' || isFingerprint(text),
        'must be a SHA-256 fingerprint: 32 upper-case hex pairs joined by colons',
      )
      .default(''),
    overlay_id: z.number().int().min(0).max(1).default(0),
    sec: flag.default(true),
    cas: candidates.default(''),
    stun: z.string().max(300).default(''),
    turn: z.string().max(300).default(''),
    turn_user: z.string().max(512).default(''),
    turn_pass: z.string().max(512).default(''),
    /** Ours: more servers than IPOP's one of each. */
    ice_servers: z.array(iceServer).max(MAX_ICE_SERVERS).default([]),
    /** Ours: which try of the link this is; a higher one replaces a lower one. Left out: the current one. */
    attempt: z.number().int().min(1).max(MAX_ATTEMPT).optional(),
    /** Ours: both ends' security terms as the controller knows them, confirmed by the control channel's hello. */
    security: z.object({ mine: securityTerms, theirs: securityTerms }).optional(),
  }),
  trim_link: z.object({ uid, reason: z.string().max(200).optional() }),
  set_remote_ip: z.object({ uid, ip4: z.ipv4().optional(), ip6: z.string().max(64).optional() }),
  get_state: z.object({ uid: z.union([uid, z.literal('')]).default(''), stats: flag.default(false) }),
  set_logging: z.object({ logging: z.number().int().min(0).max(3) }),
  set_switchmode: z.object({ switchmode: flag }),
  echo_request: z.object({ msg: z.string().max(4096).default('') }),
  echo_reply: z.object({}),
} as const;

export type ApiMethod = keyof typeof calls;
export const API_METHODS = Object.keys(calls);

export type ApiCall = {
  [M in ApiMethod]: { m: M; id: CallId | undefined; params: z.output<(typeof calls)[M]> };
}[ApiMethod];

/** Chosen by the caller; every reply and error to the call repeats it. */
export type CallId = number | string;
const MAX_ID_CHARS = 128;

/** What is wrong with a call, fit to be sent back. */
export class ApiCallError extends PeerError {
  readonly id: CallId | undefined;
  readonly method: string | undefined;

  constructor(
    code: string,
    message: string,
    at: { id?: CallId | undefined; method?: string | undefined; field?: string | undefined; cause?: unknown },
  ) {
    super(code, message, { field: at.field, cause: at.cause });
    this.id = at.id;
    this.method = at.method;
  }
}

/**
 * Reads one call. Unknown fields are ignored, as IPOP does.
 * @throws ApiCallError that carries the call's id and method as far as they could be read, and the field at fault.
 */
export function parseApiCall(payload: Uint8Array): ApiCall {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    // IPOP's words, which its controllers know.
    throw new ApiCallError('API_NOT_JSON', 'json parsing failed', { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ApiCallError('API_NOT_OBJECT', 'a call is a JSON object with the field m', {});
  }
  const { m, id: givenId, ...params } = json as Record<string, unknown>; // an object that is neither null nor an array
  const id = readId(givenId);
  if (typeof m !== 'string')
    throw new ApiCallError('API_FIELD', 'm must name the method', { id, field: 'm' });
  if (!isMethod(m)) {
    throw new ApiCallError('API_METHOD_UNKNOWN', `there is no method ${JSON.stringify(m.slice(0, 64))}`, {
      id,
      method: m.slice(0, 64),
      field: 'm',
    });
  }
  return readCall(m, id, params);
}

function readCall<M extends ApiMethod>(m: M, id: CallId | undefined, params: object): ApiCall {
  const parsed = calls[m].safeParse(params);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') ?? '';
    throw new ApiCallError('API_FIELD', `${field}: ${issue?.message ?? 'is invalid'}`, {
      id,
      method: m,
      field,
    });
  }
  // The schema of method m has parsed the parameters of method m, which the compiler cannot follow through the table.
  return { m, id, params: parsed.data } as ApiCall;
}

function isMethod(name: string): name is ApiMethod {
  return Object.hasOwn(calls, name);
}

function readId(id: unknown): CallId | undefined {
  if (id === undefined) return undefined;
  if (typeof id === 'number' && Number.isFinite(id)) return id;
  if (typeof id === 'string' && id.length <= MAX_ID_CHARS) return id;
  throw new ApiCallError(
    'API_FIELD',
    `id must be a number or a string of at most ${MAX_ID_CHARS} characters`,
    {
      field: 'id',
    },
  );
}
