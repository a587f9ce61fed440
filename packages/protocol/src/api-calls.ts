import { PeerError } from '@kith/base';
import type { z } from 'zod';
import { API_CALLS, type ApiMethod, PEER_MESSAGE_NAME, passThroughCall } from './api-methods.ts';
import { firstIssue } from './zod-issue.ts';

type Made<M extends string, P> = { m: M; id: CallId | undefined; params: P };
/** Any method that tincan does not know and that names a node: a message called `name` for that node's controller. */
type PassThrough = Made<'pass_through', z.output<typeof passThroughCall> & { name: string }>;

export type ApiCall = { [M in ApiMethod]: Made<M, z.output<(typeof API_CALLS)[M]>> }[ApiMethod] | PassThrough;

/** Chosen by the caller; every reply and error to the call repeats it. */
export type CallId = number | string;
const MAX_ID_CHARS = 128;

/**
 * Code of the error for what is no call but a message of some tincan's. In IPOP's forms, which say nothing of the direction, it must
 * not be answered: two tincans, or one and itself, would answer each other's errors for ever.
 */
export const API_IS_REPLY = 'API_IS_REPLY';

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
  if (m === undefined && typeof params.type === 'string') {
    throw new ApiCallError(API_IS_REPLY, 'm must name the method; this is a reply or a notification', {
      id,
      field: 'm',
    });
  }
  if (typeof m !== 'string')
    throw new ApiCallError('API_FIELD', 'm must name the method', { id, field: 'm' });
  if (!isMethod(m)) {
    if (Object.hasOwn(params, 'uid') && PEER_MESSAGE_NAME.test(m)) {
      return { m: 'pass_through', id, params: { name: m, ...read(passThroughCall, m, id, params) } };
    }
    throw new ApiCallError('API_METHOD_UNKNOWN', `there is no method ${JSON.stringify(m.slice(0, 64))}`, {
      id,
      method: m.slice(0, 64),
      field: 'm',
    });
  }
  return readCall(m, id, params);
}

function readCall<M extends ApiMethod>(m: M, id: CallId | undefined, params: object): ApiCall {
  // The schema of method m has parsed the parameters of method m, which the compiler cannot follow through the table.
  return { m, id, params: read(API_CALLS[m], m, id, params) } as ApiCall;
}

function read<S extends z.ZodType>(
  schema: S,
  method: string,
  id: CallId | undefined,
  params: object,
): z.output<S> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const { field, message } = firstIssue(parsed.error);
  throw new ApiCallError('API_FIELD', `${field}: ${message}`, { id, method, field });
}

function isMethod(name: string): name is ApiMethod {
  return Object.hasOwn(API_CALLS, name);
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
