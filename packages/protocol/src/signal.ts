import { PeerError } from '@kith/base';
import { z } from 'zod';
import { parseCandidates } from './candidate.ts';
import { networkView } from './network-view.ts';
import { securityTerms } from './security-terms.ts';
import { isFingerprint, isUid, uidOfFingerprint } from './uid.ts';
import { firstIssue } from './zod-issue.ts';

/** XML namespace of con_req and con_resp, as IPOP has it. */
export const SIGNAL_NAMESPACE = 'jabber:iq:tincan';

export const SIGNAL_TYPES = ['con_req', 'con_resp'] as const;
export type SignalType = (typeof SIGNAL_TYPES)[number];

/**
 * Longest `<data/>` that we read: 32 candidates and 64 groups fit, and it stays far below ejabberd's default stanza limit (256 KiB)
 * and Debian's default shaper burst (20 000 bytes).
 */
export const MAX_SIGNAL_CHARS = 20_000;

/** Attempts count up by one per new try of a link; a number near this is nobody's honest count. */
export const MAX_ATTEMPT = 0x7fff_ffff;

const signalSchema = z.object({
  v: z.literal(1),
  uid: z.string().refine(isUid, 'must be 40 hex digits'),
  fpr: z.string().refine(isFingerprint, 'must be a SHA-256 fingerprint'),
  /** Which try of this link the description belongs to; the higher one wins on both ends. */
  attempt: z.number().int().min(1).max(MAX_ATTEMPT),
  /** Space-separated candidates in IPOP's form; more of the same attempt may follow. */
  cas: z.string().max(MAX_SIGNAL_CHARS),
  security: securityTerms,
  /** The sender's own address in the network, as its presence says it; left out by nodes that do not know it. */
  node: z.object({ ip4: z.ipv4().nullable(), kind: z.enum(['static', 'auto']) }).exactOptional(),
  /** The receiver's address, chosen by itself, which it cannot have here: the sender keeps it for a node that is away. */
  refused: z.ipv4().exactOptional(),
  /** How UDP leaves the sender's machine; one that cannot be read says nothing. */
  network: networkView.optional().catch(undefined),
});

/** What con_req and con_resp carry: one end's description of one attempt at a link. */
export type Signal = z.output<typeof signalSchema>;

/** JSON in ASCII only: some XMPP stacks split multi-byte characters at packet borders. */
export function encodeSignal(signal: Signal): string {
  return JSON.stringify(signal).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Reads the data of a con_req or con_resp.
 * @throws PeerError SIGNAL_INVALID that names the field.
 */
export function decodeSignal(data: string): Signal {
  if (data.length > MAX_SIGNAL_CHARS) throw invalid('data', `is longer than ${MAX_SIGNAL_CHARS} characters`);
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (cause) {
    throw new PeerError('SIGNAL_INVALID', 'signal: data is not JSON', { field: 'data', cause });
  }
  const parsed = signalSchema.safeParse(json);
  if (!parsed.success) {
    const issue = firstIssue(parsed.error);
    throw invalid(issue.field, issue.message);
  }
  const signal = parsed.data;
  if (uidOfFingerprint(signal.fpr) !== signal.uid) throw invalid('uid', 'does not follow from fpr');
  parseCandidates(signal.cas);
  return signal;
}

function invalid(field: string, message: string): PeerError {
  return new PeerError('SIGNAL_INVALID', `signal: ${field} ${message}`, { field });
}
