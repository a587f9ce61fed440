import { ConfigError, PeerError } from '@kith/base';
import {
  type ApiCall,
  type Candidate,
  parseCandidates,
  type SecurityTerms,
  type Uid,
  uidOfFingerprint,
} from '@kith/protocol';
import type { Link } from './link.ts';
import type { LinkTerms } from './link-types.ts';

export type CreateLink = Extract<ApiCall, { m: 'create_link' }>['params'];

/**
 * What a create_link says about the peer, held against this node and against itself.
 * @throws PeerError UID_OURS or UID_NOT_PROVED, ConfigError API_FIELD.
 */
export function readDescription({ uid, fpr, cas }: CreateLink, me: Uid): Candidate[] {
  if (uid === me) throw new PeerError('UID_OURS', 'uid: is this node', { field: 'uid' });
  if (fpr !== '' && uidOfFingerprint(fpr) !== uid) {
    throw new PeerError('UID_NOT_PROVED', 'uid: does not follow from fpr', { field: 'uid' });
  }
  const candidates = parseCandidates(cas);
  if (fpr === '' && candidates.length > 0) {
    throw new ConfigError('API_FIELD', 'fpr: is needed together with cas', { field: 'fpr' });
  }
  return candidates;
}

/**
 * Decides what becomes of the newest link that is there when a call names an attempt: it is renumbered here, closed here, or stays. One
 * that is online stays beside a new one until that is online too. Returns the link to carry on with, undefined for a new one.
 * @throws PeerError ATTEMPT_STALE or ATTEMPT_TAKEN.
 */
export function carryOn(
  link: Link | undefined,
  attempt: number,
  first: Candidate | undefined,
): Link | undefined {
  if (link === undefined) return undefined;
  if (attempt < link.attempt) {
    throw new PeerError('ATTEMPT_STALE', `attempt: the link is at attempt ${link.attempt}`, {
      field: 'attempt',
    });
  }
  if (attempt > link.attempt) {
    if (link.isBound) {
      if (link.state !== 'online') link.close('replaced by a new attempt');
      return undefined;
    }
    link.renumber(attempt);
  }
  if (link.isBound && first !== undefined && !link.isBoundTo(first)) {
    throw new PeerError('ATTEMPT_TAKEN', 'cas: attempt is bound to another session of the peer', {
      field: 'cas',
    });
  }
  return link;
}

const PLAIN_TERMS: SecurityTerms = { mode: 'never', groups: [], without_common_group: 'plain' };

/**
 * Both ends' terms. IPOP's controllers know none: with them `sec` 0 means that this end wants no encryption and thinks the same of the
 * other, and `sec` 1 that it names no terms, which nobody can take for consent to a plain link.
 */
export function securityOf({ sec, security }: CreateLink): LinkTerms['security'] {
  if (security !== undefined || sec) return security;
  return { mine: PLAIN_TERMS, theirs: PLAIN_TERMS };
}
