import { z } from 'zod';
import { isUid } from './uid.ts';

/** `first-use`: a member's first node is believed, later ones wait for a person. `strict`: every node waits for a person. */
export const TRUST_MODES = ['first-use', 'strict'] as const;
export type TrustMode = (typeof TRUST_MODES)[number];

/**
 * What a node's UID is to this node: `verified`: a person has compared it; `pinned`: it belongs to its member by first use or because a
 * person accepted it; `new`: nothing says yet that it is the member's.
 */
export const TRUST_LEVELS = ['verified', 'pinned', 'new'] as const;
export type TrustLevel = (typeof TRUST_LEVELS)[number];

// RFC 7622 §3.1: a JID has at most 3071 bytes; none that a roster of people holds comes near a third of it.
const MAX_NAME_CHARS = 1_023;
const name = z.string().min(1).max(MAX_NAME_CHARS);
const uid = z.string().refine(isUid, 'must be 40 hex digits');

/** What `kith trust` asks a controller on its status socket: one line of JSON. */
export const trustQuestion = z.discriminatedUnion('do', [
  z.strictObject({ m: z.literal('trust'), do: z.literal('list') }),
  z.strictObject({ m: z.literal('trust'), do: z.literal('accept'), name, uid: uid.exactOptional() }),
  z.strictObject({ m: z.literal('trust'), do: z.literal('forget'), name, uid: uid.exactOptional() }),
  z.strictObject({
    ...{ m: z.literal('trust'), do: z.literal('verify'), name, uid: uid.exactOptional() },
    /** Marks the node as verified; false: only shows what is to be compared. */
    confirm: z.boolean(),
  }),
]);
export type TrustQuestion = z.output<typeof trustQuestion>;

const trustNode = z.object({
  /** Bare JID of the member. */
  name: z.string(),
  uid: z.string(),
  trust: z.enum(TRUST_LEVELS),
  /** SHA-256 fingerprint of the node's certificate; null while only its first 160 bits, the UID, are known. */
  fingerprint: z.string().nullable(),
  /** When it was pinned, accepted or verified, ISO 8601; null for a new one. */
  since: z.string().nullable(),
  /** Code to compare with the one that the other end shows; null where it was not asked for. */
  code: z.string().nullable(),
});
export type TrustNode = z.output<typeof trustNode>;

/** The answer to every trust question that was done; fields are added, never changed, while `schema` stays 1. */
export const trustAnswer = z.object({
  schema: z.literal(1),
  mode: z.enum(TRUST_MODES),
  self: z.object({ name: z.string(), uid: z.string().nullable(), fingerprint: z.string().nullable() }),
  /** All nodes for `list`; for the others those that it was about, as they are now (for `forget`: as they were). */
  nodes: z.array(trustNode),
});
export type TrustAnswer = z.output<typeof trustAnswer>;

/** The answer to a question that was not done. */
export const trustRefusal = z.object({
  error: z.string(),
  code: z.string(),
  field: z.string().exactOptional(),
});
export type TrustRefusal = z.output<typeof trustRefusal>;
