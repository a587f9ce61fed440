import { describeError, KithError } from '@kith/base';
import { type ApiCall, ApiCallError, type CallId } from './api-calls.ts';
import type { ApiReply } from './api-replies.ts';

/** The method as the caller wrote it. */
export function methodOf(call: ApiCall): string {
  return call.m === 'pass_through' ? call.params.name : call.m;
}

/**
 * What a caller is told of an error.
 * @param at the call, where the error does not carry what is known of it
 */
export function errorReply(
  error: unknown,
  at: { id?: CallId | undefined; m?: string | undefined } = {},
): Extract<ApiReply, { type: 'error' }> {
  const { id, m } = error instanceof ApiCallError ? { id: error.id, m: error.method } : at;
  return {
    type: 'error',
    ...(id === undefined ? {} : { id }),
    ...(m === undefined ? {} : { m }),
    error: error instanceof ApiCallError ? error.message : describeError(error),
    code: error instanceof KithError ? error.code : 'BUG',
    ...(error instanceof KithError && error.field !== undefined ? { field: error.field } : {}),
  };
}
