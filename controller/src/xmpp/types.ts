import type { Logger } from '@kith/base';
import type { BlockChange } from './blocking.ts';
import type { NodeAnnouncement } from './node-announcement.ts';

/** Everything a session at the hub is made from. */
/** IP addresses of a host name, or of an address itself; at least one. */
export type Resolve = (host: string) => Promise<string[]>;

export interface XmppOptions {
  /** Bare JID of the account. */
  jid: string;
  password: string;
  /** `xmpps://host[:5223]` (TLS from the first byte), `xmpp://host[:5222]` (STARTTLS, enforced) or `wss://host[:443]/path`. */
  server: string;
  /** PEM of the certificate authorities to trust; they replace the system's. */
  ca?: string | undefined;
  /** Addresses of a host; the system's resolver if undefined. What it throws is the reason that the hub is not reached. */
  resolve?: Resolve | undefined;
  /** Resource to bind; the hub must grant exactly this one. */
  resource: string;
  log: Logger;
}

/**
 * - `connecting`: a try is under way
 * - `online`: signed in, roster read, presence sent
 * - `waiting`: the connection was lost or not made; the next try is in `retryInMs`
 * - `refused`: the hub does not want these credentials, or is not the hub that it should be; tried again, but slowly
 * - `conflict`: another instance took this resource (or an operator ended the session); tried again after minutes
 * - `stopped`: not started, or stopped
 */
export type HubStateName = 'connecting' | 'online' | 'waiting' | 'refused' | 'conflict' | 'stopped';

export interface HubState {
  state: HubStateName;
  /** What a person should know: the error code and text of the last failure; null when all is well. */
  detail: string | null;
  /** Milliseconds until the next try, as of the moment of reading; null when none is planned. */
  retryInMs: number | null;
  /** `monotonicMs()` of the moment in which `state` last changed. */
  since: number;
}

export type Subscription = 'none' | 'to' | 'from' | 'both' | 'remove';

/** One contact. In a push, `subscription: 'remove'` means that the contact is gone. */
export interface RosterItem {
  /** JID of the contact, domain and local part in lower case. */
  jid: string;
  name: string | null;
  groups: string[];
  subscription: Subscription;
}

/** Availability of one resource of a contact, or of another resource of the own account. */
export interface PresenceChange {
  /** Full JID. */
  from: string;
  available: boolean;
  /** What the node says of itself, if it does. */
  node?: NodeAnnouncement;
}

/** Stanza error conditions (RFC 6120 §8.3.3) with which a signal may be refused. */
export type RefuseCondition =
  | 'bad-request'
  | 'conflict'
  | 'forbidden'
  | 'internal-server-error'
  | 'not-acceptable'
  | 'not-allowed'
  | 'policy-violation'
  | 'resource-constraint'
  | 'service-unavailable';

/**
 * A signal from another node. Exactly one of `respond` and `refuse` should be called, soon; later calls do nothing, and a signal
 * left without an answer for 20 s is refused with `service-unavailable`. After a broken session the sender repeats a
 * signal whose answer it missed, so the same signal can come twice.
 */
export interface IncomingSignal {
  /** Full JID as stamped by the hub. Nothing says yet that this is a contact. */
  from: string;
  /** Printable ASCII, at most 64 characters. */
  type: string;
  /** ASCII, at most `SIGNAL_DATA_MAX` characters. */
  data: string;
  respond(): void;
  /** Default `service-unavailable`: just what an account that knows nothing of Kith answers. */
  refuse(condition?: RefuseCondition): void;
}

/** A STUN or TURN service that the hub offers (XEP-0215). */
export interface IceServer {
  type: 'stun' | 'turn' | 'turns';
  host: string;
  port: number;
  transport: 'udp' | 'tcp';
  username?: string;
  password?: string;
  /** End of the credentials' life, in milliseconds since the epoch. */
  expires?: number;
}

export interface XmppEvents {
  state: HubState;
  /**
   * A session is there. `resumed: true`: the old one goes on and nothing was missed. `resumed: false`: what is known of presences is
   * void; a `roster` and new `presence` events follow.
   */
  session: { resumed: boolean };
  /** The whole roster, after each `session` with `resumed: false`. */
  roster: RosterItem[];
  'roster-push': RosterItem;
  /** The account's block list, once per session with `resumed: false` where the hub has one, and each change of it. */
  blocked: BlockChange;
  presence: PresenceChange;
  signal: IncomingSignal;
}

/** What the session counted since it was made. Every drop has its name here. */
export interface XmppCounters {
  connects: number;
  sessions: number;
  resumptions: number;
  signals_sent: number;
  signals_received: number;
  signals_expired: number;
  /** Signals that found the outgoing queue full. */
  signals_dropped: number;
  /** Signals sent again because the session in which they went out was lost. */
  signals_repeated: number;
  /** Incoming signals refused because too many waited for an answer. */
  signals_overrun: number;
  /** Incoming signals whose form was not right. */
  signals_malformed: number;
  /** Incoming signals that nobody answered in time. */
  signals_unanswered: number;
  /** Roster pushes from someone who may not send them. */
  pushes_forged: number;
  /** Answers that no request waits for, or from the wrong sender. */
  answers_stray: number;
  /** Stanzas that made no sense or that we have no use for. */
  stanzas_ignored: number;
  /**
   * Stanzas that the hub had not acknowledged when their session was lost, or that had no session to go to. They may have arrived. Signals
   * are repeated and not counted here.
   */
  stanzas_lost: number;
  /** Event listeners that threw. */
  listener_errors: number;
}
