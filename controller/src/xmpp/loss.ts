import { KithError, PeerError, SystemError } from '@kith/base';
import type { LossKind } from './reconnect-policy.ts';

/** The end of a connection, or of the try to make one. */
export interface Loss {
  kind: LossKind;
  error: KithError;
  /** True if the hub may still hold the session for us (XEP-0198): only then is it worth asking for it. */
  resumable: boolean;
}

/** The loss as an exception, for the steps that are awaited. */
export class LossError extends Error {
  readonly loss: Loss;

  constructor(loss: Loss) {
    super(loss.error.message, { cause: loss.error });
    this.name = 'LossError';
    this.loss = loss;
  }
}

/** An ordinary loss: try again soon, and resume if the hub still can. */
export function lost(error: KithError): Loss {
  return { kind: 'lost', error, resumable: true };
}

/** The hub is not what it should be, or cannot prove it: we do not talk to it. */
export function untrusted(error: KithError): Loss {
  return { kind: 'untrusted', error, resumable: true };
}

/** The hub does not accept our credentials. */
export function refused(error: KithError): Loss {
  return { kind: 'refused', error, resumable: true };
}

/** The hub sent what cannot be parsed. */
export function garbage(cause: unknown): Loss {
  return lost(new PeerError('XMPP_PROTOCOL', 'what the hub sent is not XMPP', { cause }));
}

/** Codes of failures that a new try a second later will not mend: the hub has to change first, or our credentials have to. */
const UNTRUSTED_CODES = new Set(['XMPP_SERVER_UNPROVEN', 'XMPP_SCRAM']);
const REFUSED_CODES = new Set(['XMPP_CREDENTIAL_CHARACTERS', 'XMPP_PASSWORD']);

/** Whatever was thrown or reported while a connection was made or used, as a loss. */
export function asLoss(error: unknown): Loss {
  if (error instanceof LossError) return error.loss;
  if (error instanceof KithError) {
    if (UNTRUSTED_CODES.has(error.code)) return untrusted(error);
    return REFUSED_CODES.has(error.code) ? refused(error) : lost(error);
  }
  if (error instanceof Error && error.name === 'XMLError') return garbage(error);
  return lost(new SystemError('XMPP_CLOSED', 'the connection to the hub was lost', { cause: error }));
}
