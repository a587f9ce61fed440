import { PeerError } from '@kith/base';
import { z } from 'zod';
import { accountPair } from './account.ts';
import { MAX_PEER_MESSAGE_CHARS, PEER_MESSAGE_NAME } from './api-methods.ts';
import { API_TYPE_ICC_CONTROL, API_TYPE_ICC_PACKET, MAX_ICC_BYTES } from './api-packets.ts';
import { directAnswer, directCandidates, directOffer, directReady, directUsing } from './direct-control.ts';
import { networkMessage } from './network-view.ts';
import { securityTerms } from './security-terms.ts';
import { MAX_ATTEMPT } from './signal.ts';
import { isUid } from './uid.ts';
import { firstIssue } from './zod-issue.ts';

/** Longest message on the control channel: a hello with 64 groups of 64 characters (four bytes each at worst) fits. */
export const MAX_CONTROL_BYTES = 32_768;

const hello = z.object({
  t: z.literal('hello'),
  v: z.literal(1),
  uid: z.string().refine(isUid, 'must be 40 hex digits'),
  attempt: z.number().int().min(1).max(MAX_ATTEMPT),
  /** Overlay addresses in text form; null where the node has none. */
  ip4: z.ipv4().nullable(),
  ip6: z.ipv6().nullable(),
  /** The sender's own terms, to be held against what came by XMPP; null when its controller gave none. */
  security: securityTerms.nullable(),
  /** The receiver's terms as the sender heard them by XMPP. */
  heard: securityTerms.nullable(),
  /** Whose the sender is, and whose it takes the receiver to be; left out where its controller did not say. */
  accounts: accountPair.exactOptional(),
  /** How the sender handles frames, as `set_network_mode` says. */
  layer: z.union([z.literal(2), z.literal(3)]).exactOptional(),
  features: z.array(z.string().max(32)).max(32),
});
const ping = z.object({
  t: z.literal('ping'),
  id: z.number().int().min(0).max(0xffff_ffff),
  /** Messages of the frames channel that the sender has sent so far: what did not arrive by now counts as lost. */
  sent: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
});
const pong = z.object({ t: z.literal('pong'), id: z.number().int().min(0).max(0xffff_ffff) });
/** The receiver of frames grants the sender: messages numbered up to and including `grant` may be sent. */
const credit = z.object({
  t: z.literal('credit'),
  grant: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** The highest number that the receiver knows to have been sent. */
  seq: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** Messages that arrived of those, from which the sender learns the loss. */
  received: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
});
/** A node that takes `message` and `icc` says so in hello; others would count them as malformed. */
export const RELAY_FEATURE = 'relay';
/** What one controller tells the other through the link, by the API's pass-through calls. */
const message = z.object({
  t: z.literal('message'),
  m: z.string().regex(PEER_MESSAGE_NAME),
  data: z.string().max(MAX_PEER_MESSAGE_CHARS),
});
/** A datagram of the API of type 3 or 4, from its fake Ethernet header on, in base64. */
const icc = z.object({
  t: z.literal('icc'),
  type: z.union([z.literal(API_TYPE_ICC_CONTROL), z.literal(API_TYPE_ICC_PACKET)]),
  frame: z.base64().max(Math.ceil(MAX_ICC_BYTES / 3) * 4),
});
const bye = z.object({ t: z.literal('bye'), reason: z.string().max(200) });

const controlMessage = z.discriminatedUnion('t', [
  hello,
  ping,
  pong,
  credit,
  message,
  icc,
  bye,
  directOffer,
  directAnswer,
  directReady,
  directUsing,
  directCandidates,
  networkMessage,
]);

export type ControlMessage = z.output<typeof controlMessage>;
export type RelayMessage = z.output<typeof message> | z.output<typeof icc>;
export type Hello = z.output<typeof hello>;

export function encodeControl(message: ControlMessage): string {
  return JSON.stringify(message);
}

/**
 * Reads one message of the control channel.
 * @throws PeerError CONTROL_INVALID that names the field.
 */
export function decodeControl(text: string): ControlMessage {
  if (text.length > MAX_CONTROL_BYTES)
    throw invalid('(whole)', `is longer than ${MAX_CONTROL_BYTES} characters`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PeerError('CONTROL_INVALID', 'control message is not JSON', { cause });
  }
  const parsed = controlMessage.safeParse(json);
  if (!parsed.success) {
    const issue = firstIssue(parsed.error);
    throw invalid(issue.field, issue.message);
  }
  return parsed.data;
}

function invalid(field: string, message: string): PeerError {
  return new PeerError('CONTROL_INVALID', `control message: ${field} ${message}`, { field });
}
