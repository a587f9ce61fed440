import { z } from 'zod';
import { networkView } from './network-view.ts';
import { TRUST_LEVELS, TRUST_MODES } from './trust.ts';

export const HUB_STATES = ['online', 'connecting', 'waiting', 'refused', 'conflict', 'stopped'] as const;
export const LINK_STATES = ['online', 'connecting', 'idle', 'offline', 'refused'] as const;

const pathEvent = z.object({ ago_ms: z.number(), what: z.string() });
/** Something that happened on the way to a node. */
export type PathEventStatus = z.output<typeof pathEvent>;

const linkStatus = z.object({
  /** Bare JID of the member, or the UID where no controller can say. */
  name: z.string(),
  uid: z.string(),
  /** IPv4 address at which this node sees it; in a social network the mapped one. */
  address: z.string().nullable(),
  ip6: z.string().nullable().exactOptional(),
  state: z.enum(LINK_STATES),
  security: z.enum(['encrypted', 'plain']).nullable(),
  /** Why the link has this security, in words. */
  why: z.string().nullable(),
  carrier: z.enum(['channel', 'direct']).nullable(),
  path: z.string().nullable(),
  /** Why there is no direct path, in words; null where there is one, or none is wanted. */
  why_path: z.string().nullable().exactOptional(),
  /** How UDP leaves the peer's machine, as it says; null: it has not said. */
  network: networkView.nullable().exactOptional(),
  /** What happened to the link lately, oldest first; only of the links that were asked for. */
  events: z.array(pathEvent).exactOptional(),
  rtt_ms: z.number().nullable(),
  rx_bytes: z.number(),
  tx_bytes: z.number(),
  /** Milliseconds since the last message of the peer arrived. */
  last_heard_ms: z.number().nullable(),
  detail: z.string().nullable(),
  /** How the node handles frames, `network.layer` there; null: it has not said. */
  layer: z
    .union([z.literal(2), z.literal(3)])
    .nullable()
    .exactOptional(),
  /** What the node's UID is to this node; null where it is not known. */
  trust: z.enum(TRUST_LEVELS).nullable().exactOptional(),
});
export type LinkStatus = z.output<typeof linkStatus>;

export const PORT_MAPPING_STATES = ['off', 'searching', 'mapped', 'none'] as const;

const portMapping = z.object({
  state: z.enum(PORT_MAPPING_STATES),
  /** Where the router lets in what is for this node, `address:port`. */
  address: z.string().nullable(),
  by: z.enum(['pcp', 'nat-pmp', 'upnp']).nullable(),
  /** Why there is none, or what is wrong with it. */
  detail: z.string().nullable(),
});
export type PortMappingStatus = z.output<typeof portMapping>;

/**
 * The question `{"m":"status"}`; `events` names the member or node whose links' last events are told too. A JID has at most 3071 bytes
 * (RFC 7622 §3.1): whoever names more means nobody.
 */
export const statusQuestion = z.object({ events: z.string().min(1).max(3_071).optional().catch(undefined) });

/** What `kith status --json` prints. Fields are added, never changed, while `schema` stays 1. */
export const statusReport = z.object({
  schema: z.literal(1),
  network: z.string(),
  node: z.object({
    uid: z.string().nullable(),
    jid: z.string(),
    ip4: z.string().nullable(),
    mac: z.string().nullable(),
    /** How UDP leaves this machine; left out where tincan has not said. */
    network: networkView.exactOptional(),
    /** Left out where no controller answers. */
    ip6: z.string().nullable().exactOptional(),
    /** `network.layer` of this node. */
    layer: z.union([z.literal(2), z.literal(3)]).exactOptional(),
    /** What is wrong with this node's address, or null. */
    detail: z.string().nullable().exactOptional(),
    controller_uptime_ms: z.number(),
  }),
  hub: z.object({
    state: z.enum(HUB_STATES),
    server: z.string(),
    since_ms: z.number(),
    detail: z.string().nullable(),
    retry_in_ms: z.number().nullable(),
  }),
  tincan: z.object({
    running: z.boolean(),
    /** Drawn at each start of tincan. */
    instance: z.string().nullable(),
    detail: z.string().nullable(),
  }),
  tap: z
    .object({
      name: z.string(),
      state: z.enum(['up', 'down']),
      mtu: z.number(),
      rx_frames: z.number(),
      tx_frames: z.number(),
      dropped: z.number(),
    })
    .nullable(),
  /** Left out where no controller answers. */
  direct: z.object({ port_mapping: portMapping }).exactOptional(),
  /** Members of the network by the roster, this account left out; null while the roster is not known. */
  members: z.number().nullable(),
  links: z.array(linkStatus),
  /** Left out where no controller answers. */
  trust: z
    .object({
      mode: z.enum(TRUST_MODES),
      pinned: z.number(),
      verified: z.number(),
      /** New nodes that are there and wait for a person; the table of links shows a few of them. */
      waiting: z.number(),
      /** Why what is pinned cannot be kept, or null. */
      detail: z.string().nullable(),
    })
    .exactOptional(),
  counters: z.record(z.string(), z.number()),
});
export type StatusReport = z.output<typeof statusReport>;
