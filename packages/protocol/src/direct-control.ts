import { z } from 'zod';
import { canonicalIp } from './ip-text.ts';

/**
 * Messages of the control channel that set up the direct carrier. The key of each direction belongs to its receiver: it offers an
 * epoch, the sender answers, the receiver says when it is ready, the sender says when it has switched. Since only the receiver of a
 * direction starts an epoch of it, two ends that start at once start two different things.
 */

/** A node that understands these messages says so in hello's features. */
export const DIRECT_FEATURE = 'direct/1';

/** A node that knows candidates of kind `relay` says so in hello's features; others are not told of them. */
export const DIRECT_RELAY_FEATURE = 'direct-relay/1';

/** Addresses of one end that the other may try. */
export const MAX_DIRECT_CANDIDATES = 32;

/** One epoch per 100 s: 2^31 of them outlast any link. */
const MAX_EPOCH = 0x7fff_ffff;
const epoch = z.number().int().min(1).max(MAX_EPOCH);
/** 32 bytes of an X25519 public key (RFC 7748 §6.1) in base64url without padding. */
const publicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 43 characters of base64url');
/** What an end accepts; the link is what both accept. */
const terms = {
  /** This end is content with datagrams that are not encrypted: the security terms, proved inside DTLS, say plain. */
  plain: z.boolean(),
  /** This end's processor has AES instructions. */
  aes: z.boolean(),
};

export const directOffer = z.object({
  t: z.literal('direct_offer'),
  epoch,
  /** Receiver index that datagrams of this epoch must carry. */
  index: z.number().int().min(1).max(0xffff_ffff),
  key: publicKey,
  ...terms,
});
export const directAnswer = z.object({ t: z.literal('direct_answer'), epoch, key: publicKey, ...terms });
/** The receiver can open datagrams of this epoch. */
export const directReady = z.object({ t: z.literal('direct_ready'), epoch });
/** The sender uses this epoch and no older one from now on. */
export const directUsing = z.object({ t: z.literal('direct_using'), epoch });

const directCandidate = z.object({
  ip: z
    .string()
    .max(45)
    .refine((text) => canonicalIp(text) === text, 'must be an IP address in its shortest form'),
  port: z.number().int().min(1).max(65_535),
  /** `host`: of an interface; `mapped`: as a STUN server saw the socket; `relay`: of a TURN server that passes on what comes there. */
  kind: z.enum(['host', 'mapped', 'relay']),
});
/** All addresses at which the sender may be reached; replaces the list before. */
export const directCandidates = z.object({
  t: z.literal('direct_candidates'),
  list: z.array(directCandidate).max(MAX_DIRECT_CANDIDATES),
});

export type DirectCandidate = z.output<typeof directCandidate>;
export type DirectOffer = z.output<typeof directOffer>;
export type DirectAnswer = z.output<typeof directAnswer>;
export type DirectControl =
  | DirectOffer
  | DirectAnswer
  | z.output<typeof directReady>
  | z.output<typeof directUsing>
  | z.output<typeof directCandidates>;
