import { z } from 'zod';
import { accountPair } from './account.ts';
import { parseCandidates } from './candidate.ts';
import { securityTerms } from './security-terms.ts';
import { MAX_ATTEMPT, MAX_SIGNAL_CHARS } from './signal.ts';
import { isFingerprint, isUid } from './uid.ts';

/** IPOP's jsoncpp took 0, 1 and booleans for each other; controllers in the field send both. */
const flag = z
  .union([z.boolean(), z.literal(0), z.literal(1)], 'must be true, false, 0 or 1')
  .transform(Boolean);
const uid = z.string('must be a string of 40 hex digits').refine(isUid, 'must be 40 hex digits');
const port = z.number().int().min(1).max(65_535);
const host = z.string().min(1).max(255);
const prefix = (max: number) => z.number().int().min(0).max(max);
/** IPOP's jsoncpp reads a text that is missing as an empty one, so its controllers send empty ones for "none". */
const orEmpty = <T extends z.ZodType>(schema: T, message: string) =>
  z.union([z.literal('').transform(() => undefined), schema], message).optional();
const NOT_IP4 = 'must be a dotted IPv4 address';
const NOT_IP6 = 'must be an IPv6 address';
const ip4 = z.ipv4(NOT_IP4);
const ip6 = z.ipv6(NOT_IP6);

/** STUN and TURN servers that one link may use: a hub names some five, a config as many again. */
export const MAX_ICE_SERVERS = 16;
const iceServer = z.object({
  type: z.enum(['stun', 'turn']),
  host,
  port,
  username: z.string().max(512).optional(),
  password: z.string().max(512).optional(),
  /** Ours: how a TURN server is reached; left out: by UDP. STUN is asked by UDP alone. */
  transport: z.enum(['udp', 'tcp', 'tls']).optional(),
});
export type IceServer = z.output<typeof iceServer>;

const candidates = z
  .string()
  .max(MAX_SIGNAL_CHARS)
  .superRefine((text, context) => {
    try {
      parseCandidates(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is invalid' });
    }
  });

/** How a social network sees a friend's node: what comes in over its link is rewritten, nothing that goes out. */
const translation = z.object({
  /** The peer's own address, which its packets must come from. */
  remote_ip4: ip4,
  /** The address that this node knows the peer by. */
  mapped_ip4: ip4,
  /** This node's address; whatever the friend calls us by becomes this. */
  local_ip4: ip4,
  /** What the friend calls us by, where it is known; for people. */
  local_mapped_ip4: ip4.optional(),
});
export type Translation = z.output<typeof translation>;

/** Interfaces that a network may leave out; no machine in the field has nearly as many. */
const MAX_IGNORED_INTERFACES = 64;
/** Longest interface name that Linux has (IFNAMSIZ - 1). */
const MAX_INTERFACE_CHARS = 15;

/** Addresses that may be kept for their nodes: a list of as many fits into a datagram, and a network has fewer static ones. */
export const MAX_KEPT_ADDRESSES = 2_048;

/** The calls of tincan's API by IPOP's names; calls and fields that IPOP does not have are marked. */
export const API_CALLS = {
  set_cb_endpoint: z.object({
    ip: host,
    port,
    /** Ours: whether frames for nodes without a link are sent there too (type 2). Left out: as IPOP does for its callers, not for ours. */
    packets: flag.optional(),
  }),
  set_local_ip: z.object({
    /** Our UID follows from the certificate; a caller may name it to make sure. */
    uid: orEmpty(uid, 'must be 40 hex digits'),
    ip4: orEmpty(ip4, NOT_IP4),
    ip4_mask: prefix(32).default(24),
    ip6: orEmpty(ip6, NOT_IP6),
    ip6_mask: prefix(128).min(1).default(64),
    subnet_mask: prefix(32).optional(),
    switchmode: flag.optional(),
  }),
  create_link: z.object({
    uid,
    /** May be left out while `cas` is empty: candidates can be gathered before the peer has said anything. */
    fpr: z
      .string()
      .refine(
        (text) => text === '' || isFingerprint(text),
        'must be a SHA-256 fingerprint: 32 upper-case hex pairs joined by colons',
      )
      .default(''),
    overlay_id: z.number().int().min(0).max(1).default(0),
    sec: flag.default(true),
    cas: candidates.default(''),
    stun: z.string().max(300).default(''),
    turn: z.string().max(300).default(''),
    turn_user: z.string().max(512).default(''),
    turn_pass: z.string().max(512).default(''),
    /** Ours: more servers than IPOP's one of each. */
    ice_servers: z.array(iceServer).max(MAX_ICE_SERVERS).default([]),
    /** Ours: which try of the link this is; a higher one replaces a lower one. Left out: the current one. */
    attempt: z.number().int().min(1).max(MAX_ATTEMPT).optional(),
    /** Ours: both ends' security terms as the controller knows them, confirmed by the control channel's hello. */
    security: z.object({ mine: securityTerms, theirs: securityTerms }).optional(),
    /** Ours: whose the two ends are, to be confirmed by the control channel's hello. Left out: nothing is compared. */
    accounts: accountPair.optional(),
    /** Ours: IPv4 address translation of a social network. */
    translation: translation.optional(),
  }),
  trim_link: z.object({
    uid,
    reason: z.string().max(200).optional(),
    /** Ours: ends the link of this attempt only, and not the one before it that still carries. */
    attempt: z.number().int().min(1).max(MAX_ATTEMPT).optional(),
  }),
  set_remote_ip: z.object({
    uid,
    ip4: orEmpty(ip4, NOT_IP4),
    // IPOP's controllers send "::1/128" in switch mode.
    ip6: orEmpty(
      z
        .string()
        .transform((text) => text.replace(/\/\d{1,3}$/, ''))
        .pipe(ip6),
      NOT_IP6,
    ),
  }),
  get_state: z.object({ uid: z.union([uid, z.literal('')]).default(''), stats: flag.default(false) }),
  /** Ours: what happened to the way to a node lately. */
  get_path_events: z.object({ uid }),
  set_logging: z.object({ logging: z.number().int().min(0).max(3) }),
  set_switchmode: z.object({ switchmode: flag }),
  /** IPOP's code reads `translate`, its wiki says `translation`; either is taken. */
  set_translation: z
    .object({ translate: flag.optional(), translation: flag.optional() })
    .refine((call) => call.translate !== undefined || call.translation !== undefined, {
      path: ['translate'],
      message: 'must be true, false, 0 or 1',
    }),
  set_trimpolicy: z.object({ trim_enabled: flag }),
  set_network_ignore_list: z.object({
    network_ignore_list: z.array(z.string().min(1).max(MAX_INTERFACE_CHARS)).max(MAX_IGNORED_INTERFACES),
  }),
  register_svc: z.object({
    username: z.string().max(1023).default(''),
    password: z.string().max(1023).default(''),
    host: z.string().max(255).default(''),
    port: z.number().int().min(1).max(65_535).optional(),
  }),
  echo_request: z.object({ msg: z.string().max(4096).default('') }),
  echo_reply: z.object({}),
  /** Ours: this node may be linked, though nothing is linked yet. Repeating it replaces what was said before. */
  set_member: z.object({
    uid,
    /** Address that this node knows the member by; in a social network the mapped one. */
    ip4: ip4.nullable().optional(),
    ip6: ip6.nullable().optional(),
    /** The member's address is a translated one: what it itself announces counts for nothing. */
    ip4_translated: flag.optional(),
  }),
  /** Ours: takes set_member back; a link that is there stays. */
  remove_member: z.object({ uid }),
  /** Ours: no link may send from these but one that came up with it, in layer 2 either. Repeating it replaces the list. */
  set_kept_addresses: z.object({ ip4: z.array(ip4).max(MAX_KEPT_ADDRESSES) }),
  /** Ours: how frames are handled that no link carries. */
  set_network_mode: z.object({
    layer: z.union([z.literal(2), z.literal(3)], 'must be 2 or 3'),
    on_demand: z.boolean(),
  }),
  /** Ours: where a router lets datagrams in for the direct carrier's socket; null: nowhere (any more). */
  set_mapped_address: z.object({ mapped: z.object({ ip4, port }).nullable() }),
} as const;

export type ApiMethod = keyof typeof API_CALLS;
export const API_METHODS = Object.keys(API_CALLS);

/**
 * What any other method is when it names a UID: a message for that node's controller. tincan passes it on as it is. The length keeps it
 * within a message of the link's control channel even if each character needs six bytes of JSON.
 */
export const MAX_PEER_MESSAGE_CHARS = 4_096;
/** A name as IPOP's are; the set leaves no room for tricks with logs. */
export const PEER_MESSAGE_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
export const passThroughCall = z.object({
  uid,
  data: z.string().max(MAX_PEER_MESSAGE_CHARS).default(''),
  overlay_id: z.number().int().min(0).max(1).default(1),
});
