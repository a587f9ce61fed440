import { PeerError } from '@kith/base';
import { z } from 'zod';
import { networkView } from './network-view.ts';

/**
 * What tincan sends: replies to calls and notifications to the callback endpoint. Field names are IPOP's where IPOP has the field;
 * parsers ignore fields that they do not know, so that either side can grow.
 */
const callId = z.union([z.number(), z.string()]).optional();
const count = z.number();

/** Ours: the XMPP session that register_svc asked for. `detail` is the code and the text of the last failure. */
const xmppSession = z.object({
  jid: z.string(),
  state: z.enum(['connecting', 'online', 'waiting', 'refused', 'conflict', 'stopped']),
  detail: z.string().nullable(),
});

const localState = z.object({
  type: z.literal('local_state'),
  id: callId,
  _uid: z.string(),
  _ip4: z.string(),
  _ip6: z.string(),
  _fpr: z.string(),
  _mac: z.string(),
  /** Ours: drawn at each start of tincan, so that a controller notices a restart. */
  instance: z.string(),
  version: z.string(),
  interface: z.string(),
  mtu: count,
  tap: z.enum(['up', 'down']),
  /** Who may call: `none` lets any process of this machine in, which a person should know. */
  api_auth: z.enum(['secret', 'none']).optional(),
  /** UDP port of the direct carrier's socket; null: there is none. */
  direct_port: count.nullable().optional(),
  /** How UDP leaves this machine. */
  network: networkView.optional(),
  /** Ours, of `kith tincan` after register_svc. */
  xmpp: xmppSession.optional(),
  /** How many peer_state replies follow this one. */
  peers: count,
  counters: z.record(z.string(), count),
});

const connectionStats = z.object({
  local_addr: z.string(),
  rem_addr: z.string(),
  local_type: z.enum(['local', 'stun', 'relay']),
  rem_type: z.enum(['local', 'stun', 'relay']),
  best_conn: z.boolean(),
  writable: z.boolean(),
  readable: z.boolean(),
  timeout: z.boolean(),
  new_conn: z.boolean(),
  rtt: count,
  sent_total_bytes: count,
  sent_bytes_second: count,
  recv_total_bytes: count,
  recv_bytes_second: count,
});
export type ConnectionStats = z.output<typeof connectionStats>;

const peerState = z.object({
  type: z.literal('peer_state'),
  id: callId,
  uid: z.string(),
  /** `online` when the peer was heard within the link's time-out; measured, never intended. */
  status: z.enum(['online', 'offline']),
  ip4: z.string().optional(),
  ip6: z.string().optional(),
  fpr: z.string().optional(),
  /** Seconds since the link object was created, as IPOP counts. */
  last_time: count.optional(),
  security: z.enum(['dtls', 'none']).optional(),
  stats: z.array(connectionStats).optional(),
  /**
   * Seconds since the peer was last known to be present at the XMPP server: IPOP's field. tincan knows no XMPP, so that it says 0; the
   * gateway before it knows better.
   */
  xmpp_time: count.optional(),
  /** Ours, from here on. */
  attempt: count,
  state: z.enum(['connecting', 'online']),
  agreed: z.enum(['encrypted', 'plain']),
  carrier: z.enum(['channel', 'direct']).nullable(),
  path: z.string().nullable(),
  /** A TURN server of either end carries the link. */
  relayed: z.boolean().optional(),
  /** How UDP leaves the peer's machine, as it says; null: it has not said. */
  network: networkView.nullable().optional(),
  /** How the peer handles frames, as it said when the link came up. */
  layer: z.union([z.literal(2), z.literal(3)]).optional(),
  rtt_ms: z.number().nullable(),
  rx_bytes: count,
  tx_bytes: count,
  last_heard_ms: z.number().nullable(),
  /** Since the last frame of an application in either direction; null: there was none. */
  last_traffic_ms: z.number().nullable(),
  detail: z.string().nullable(),
  counters: z.record(z.string(), count),
});

const conStat = z.object({
  type: z.literal('con_stat'),
  uid: z.string(),
  data: z.enum(['online', 'offline', 'unknown']),
  /** Ours: which attempt it speaks of, and why it ended. */
  attempt: count,
  reason: z.string().optional(),
  /** Ours: the reason's code, where a controller may want to act on it: ACCOUNT_MISMATCH, ACCOUNT_MISTOLD. */
  code: z.string().optional(),
});

/** Local candidates of a link for the controller to deliver; `data` is the fingerprint and the candidates, separated by spaces. */
const conResp = z.object({
  type: z.literal('con_resp'),
  uid: z.string(),
  data: z.string(),
  attempt: count,
  /** Ours: all candidates are known. */
  complete: z.boolean(),
  /** Ours: how UDP leaves this machine, as far as is known by now. */
  network: networkView.optional(),
});

/** Ours: a frame for a member without a link waits. At most one per member and second. */
const linkWanted = z.object({ type: z.literal('link_wanted'), uid: z.string() });

/**
 * Ours: nothing is heard over a link, or it is heard again. A link that stays silent ends some seconds later; a controller that begins
 * a new attempt meanwhile keeps it until the new one is online.
 */
const linkSuspect = z.object({
  type: z.literal('link_suspect'),
  uid: z.string(),
  attempt: count,
  suspect: z.boolean(),
});

/** Ours: addresses or default routes of this machine changed; connections that were made before may be dead. */
const networkChanged = z.object({ type: z.literal('network_changed') });

/** Ours: the message `m` that the controller of the node `uid` passed through the link. IPOP's form has the name as its type. */
const peerMessage = z.object({
  type: z.literal('peer_message'),
  uid: z.string(),
  m: z.string(),
  data: z.string(),
});

/** Ours: the last events of the way to one node, oldest first; also of links that are over. */
const pathEvents = z.object({
  type: z.literal('path_events'),
  id: callId,
  uid: z.string(),
  events: z.array(z.object({ ago_ms: count, what: z.string() })),
});

/** Ours: the XMPP session of register_svc came up, was lost or was refused. */
const xmppState = xmppSession.extend({ type: z.literal('xmpp_state') });

const ok = z.object({ type: z.literal('ok'), id: callId, m: z.string() });
const echo = z.object({ type: z.literal('echo_request'), id: callId, msg: z.string() });
const error = z.object({
  type: z.literal('error'),
  id: callId,
  m: z.string().optional(),
  error: z.string(),
  code: z.string(),
  field: z.string().optional(),
});

const apiReply = z.discriminatedUnion('type', [
  localState,
  peerState,
  conStat,
  conResp,
  linkWanted,
  linkSuspect,
  networkChanged,
  peerMessage,
  pathEvents,
  xmppState,
  ok,
  echo,
  error,
]);
export type ApiReply = z.output<typeof apiReply>;
export type LocalState = z.output<typeof localState>;
export type PeerState = z.output<typeof peerState>;
export type ConStat = z.output<typeof conStat>;
export type ConResp = z.output<typeof conResp>;
export type LinkWanted = z.output<typeof linkWanted>;
export type LinkSuspect = z.output<typeof linkSuspect>;
export type NetworkChanged = z.output<typeof networkChanged>;
export type PeerMessage = z.output<typeof peerMessage>;
export type XmppSessionState = z.output<typeof xmppSession>;

/** @throws PeerError API_REPLY_INVALID when the payload is no reply or notification of tincan's. */
export function parseApiReply(payload: Uint8Array): ApiReply {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
  } catch (cause) {
    throw new PeerError('API_REPLY_INVALID', 'reply is not JSON', { cause });
  }
  const parsed = apiReply.safeParse(json);
  if (!parsed.success)
    throw new PeerError('API_REPLY_INVALID', `reply: ${parsed.error.issues[0]?.message ?? ''}`);
  return parsed.data;
}

export function encodeApiReply(reply: ApiReply): Buffer {
  return Buffer.from(JSON.stringify(reply));
}
