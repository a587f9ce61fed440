import { createHash } from 'node:crypto';
import { z } from 'zod';

/**
 * SHA-256 of a bare JID in UTF-8, 64 lower-case hex digits: whom a node belongs to, for those who are to compare it and have no business
 * to read what came from an XMPP server.
 */
export function accountDigest(bareJid: string): string {
  return createHash('sha256').update(bareJid, 'utf8').digest('hex');
}

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

/** The accounts of a link's two ends, as one of them sees it: its own, and the one that it takes the other end's to be. */
export const accountPair = z.object({ mine: digest, theirs: digest });
export type AccountPair = z.output<typeof accountPair>;

/** The code of a link that ended because the peer itself says that it is another account's than we were told, or does not say. */
export const ACCOUNT_MISMATCH = 'ACCOUNT_MISMATCH';
/** The same because the peer was told that we are another account's: nothing is wrong with what we know of it. */
export const ACCOUNT_MISTOLD = 'ACCOUNT_MISTOLD';
