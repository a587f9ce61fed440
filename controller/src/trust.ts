import { RESOURCE_PREFIX, type TrustLevel, type TrustMode, type Uid } from '@kith/protocol';
import { type KnownNodes, MAX_PINS } from './known-nodes.ts';
import { shellWord } from './shell-word.ts';
import { WaitingNodes } from './waiting-nodes.ts';
import type { PresenceChange } from './xmpp/index.ts';

/**
 * First contacts that may be under way. Each may cost a link attempt, and whoever runs the hub can invent members; a network of people
 * that is set up on one day has fewer, and no more links than these are made by default.
 */
const MAX_FIRST_CONTACTS = 256;

/**
 * The same where links are made on demand: a first contact costs nothing before a packet asks for it, and a node that had to wait
 * for a turn could not be reached by any. As many as there may be peers; the number of links is bounded elsewhere.
 */
const MAX_FIRST_CONTACTS_ON_DEMAND = 2_048;

/** First contacts with one member. Its first node to prove itself wins; a person has a few machines, not dozens. */
const MAX_FIRST_CONTACTS_OF_MEMBER = 4;

/** After this long (four attempts) a first contact makes way for one that waits. */
const FIRST_CONTACT_MS = 60_000;

/**
 * A node that said inside DTLS that it is another account's is not tried again under the same account for so long: whoever hands on
 * its signals will go on doing so. Its own account may have it meanwhile.
 */
const DISOWNED_MS = 600_000;

/** Nodes that are remembered as such; one beyond that is tried again, which costs it and us an attempt. */
const MAX_DISOWNED = 1_024;

/** Needs no person, only time. */
const TURN = 'waits for its turn: other nodes are being met for the first time';

export type Decision =
  | { is: 'trusted' }
  /** Not now, or not without a person; `news`: it was not known to wait before. */
  | { is: 'waiting'; reason: string; news: boolean }
  /** The UID belongs to another member. */
  | { is: 'foreign'; owner: string };

/**
 * Which nodes of a member may be linked. Membership comes from the hub and is believed; identity is not.
 *
 * `first-use`: while nothing of a member is pinned, its nodes are tried, and the first that *proves* its UID in DTLS is pinned. (Pinning
 * what presence says would let the hub fill the pins with names of keys that nobody has.) From then on every other UID under that JID,
 * a second machine or a changed key alike, waits until a person accepts it. `strict`: everything waits until a person has verified it.
 * This account's own name is pinned from the start: this node is its first.
 *
 * Pure but for the pins' file: time comes in.
 */
export class Trust {
  readonly mode: TrustMode;
  readonly #known: KnownNodes;
  readonly #self: string;
  readonly #maxContacts: number;
  readonly #contacts = new Map<Uid, { jid: string; since: number }>();
  /** Fingerprints that trusted nodes signalled; believed when DTLS has proved them. */
  readonly #heard = new Map<Uid, string>();
  readonly waiting = new WaitingNodes();
  /** When nodes said that they do not belong to an account: by `JID UID`, the oldest first. */
  readonly #disowned = new Map<string, number>();
  #displaced = false;
  readonly counters = { trust_new_nodes: 0, trust_pinned: 0, trust_first_contacts_displaced: 0 };

  /**
   * @param self bare JID of this account
   * @param onDemand whether links wait for packets
   */
  constructor(mode: TrustMode, known: KnownNodes, self: string, onDemand = false) {
    this.#maxContacts = onDemand ? MAX_FIRST_CONTACTS_ON_DEMAND : MAX_FIRST_CONTACTS;
    this.mode = mode;
    this.#known = known;
    this.#self = self;
  }

  get known(): KnownNodes {
    return this.#known;
  }

  /** Whether there is something to review: a first contact that lost its place, or nodes that wait for one. */
  get unsettled(): boolean {
    return this.#displaced || this.waiting.present().some(({ reason }) => reason === TURN);
  }

  /** A member's node was seen (presence or signal): may it be linked? Notes it as waiting when not. */
  judge(jid: string, uid: Uid, now: number): Decision {
    const pin = this.#known.get(uid);
    if (pin !== undefined && pin.jid !== jid) {
      const forget = `kith trust forget ${shellWord(pin.jid)} ${uid}`;
      this.waiting.note(jid, uid, `its key is pinned as that of ${pin.jid}; if that is wrong: ${forget}`);
      return { is: 'foreign', owner: pin.jid };
    }
    const contact = this.#contacts.get(uid);
    if (pin === undefined && contact !== undefined && contact.jid !== jid) {
      if (now - contact.since < FIRST_CONTACT_MS) return { is: 'foreign', owner: contact.jid };
      this.#displace(uid);
    }
    const reason = pin === undefined ? this.#whyNotNew(jid, uid, now) : this.#whyNotPinned(jid, uid);
    if (reason === undefined) {
      this.waiting.remove(jid, uid);
      return { is: 'trusted' };
    }
    const news = this.waiting.note(jid, uid, reason);
    if (news) this.counters.trust_new_nodes++;
    return { is: 'waiting', reason, news };
  }

  /** Whether a link to this node may be now. Changes nothing. */
  allows(jid: string, uid: Uid): boolean {
    const pin = this.#known.get(uid);
    if (pin === undefined) return this.#contacts.get(uid)?.jid === jid && !this.#hasFirst(jid);
    return pin.jid === jid && (this.mode === 'first-use' || pin.verified);
  }

  level(uid: Uid): TrustLevel {
    const pin = this.#known.get(uid);
    return pin === undefined ? 'new' : pin.verified ? 'verified' : 'pinned';
  }

  /** The node went away. True when nothing of it needs to be kept: it never proved itself. */
  absent(jid: string, uid: Uid): boolean {
    this.waiting.absent(jid, uid);
    this.#heard.delete(uid);
    if (this.#known.get(uid) !== undefined || this.#contacts.get(uid)?.jid !== jid) return false;
    this.#contacts.delete(uid);
    return true;
  }

  /** A trusted node signalled its fingerprint, whose first 160 bits are its UID. */
  heard(uid: Uid, fpr: string): void {
    this.#heard.set(uid, fpr);
  }

  /**
   * DTLS has proved the node's key. Pins it where it is the first of its member, and ends the member's other first contacts.
   * False: it may not keep the link.
   */
  proved(jid: string, uid: Uid): boolean {
    const fpr = this.#heard.get(uid) ?? null;
    this.#heard.delete(uid);
    const pin = this.#known.get(uid);
    if (pin !== undefined) {
      if (pin.fpr === null && fpr !== null && pin.jid === jid) this.#known.put(uid, { ...pin, fpr });
      return this.allows(jid, uid);
    }
    this.#contacts.delete(uid);
    if (this.mode === 'strict' || this.#hasFirst(jid)) return false;
    const since = new Date().toISOString();
    if (!this.#known.put(uid, { jid, fpr, verified: false, since })) return false;
    this.counters.trust_pinned++;
    for (const [other, contact] of this.#contacts) if (contact.jid === jid) this.#displace(other);
    return true;
  }

  /**
   * The node itself said, inside DTLS, that it does not belong to this account. Nothing of it is pinned under this name then; what was
   * pinned before stays, since that is for a person to say, and its links are refused all the same.
   */
  disowned(jid: string, uid: Uid, now: number): void {
    if (this.#known.jidOf(uid) === jid) return;
    this.#heard.delete(uid);
    if (this.#contacts.get(uid)?.jid === jid) this.#contacts.delete(uid);
    const key = `${jid} ${uid}`;
    this.#disowned.delete(key);
    this.#disowned.set(key, now);
    for (const oldest of this.#disowned.keys()) {
      if (this.#disowned.size <= MAX_DISOWNED) break;
      this.#disowned.delete(oldest);
    }
    this.waiting.note(jid, uid, notTheirs(jid));
  }

  /** The presences of nodes that are there, waited, and would be trusted now. */
  due(now: number): PresenceChange[] {
    const due: PresenceChange[] = [];
    for (const { jid, uid, said } of this.waiting.present()) {
      if (this.judge(jid, uid, now).is !== 'trusted') continue;
      const from = `${jid}/${RESOURCE_PREFIX}${uid}`;
      due.push({ from, available: true, ...(said === undefined ? {} : { node: said }) });
    }
    return due;
  }

  /** `allows` was asked for every link, so first contacts that a pin has overtaken can go. */
  reviewed(): void {
    for (const [uid, { jid }] of this.#contacts) if (this.#hasFirst(jid)) this.#displace(uid);
    this.#displaced = false;
  }

  /** A first node is there already, so that another one needs a person. */
  #hasFirst(jid: string): boolean {
    return jid === this.#self || this.#known.nodesOf(jid).length > 0;
  }

  #whyNotPinned(jid: string, uid: Uid): string | undefined {
    return this.allows(jid, uid) ? undefined : notVerified(jid, uid);
  }

  #whyNotNew(jid: string, uid: Uid, now: number): string | undefined {
    if (this.mode === 'strict') return notVerified(jid, uid);
    if (this.#hasFirst(jid)) {
      return `unverified new node of ${jid}; if it is really theirs: kith trust accept ${shellWord(jid)} ${uid}`;
    }
    if (this.#known.size >= MAX_PINS) {
      return `no room to pin it: ${MAX_PINS} nodes are; kith trust forget NAME makes room`;
    }
    const disowned = this.#disowned.get(`${jid} ${uid}`);
    if (disowned !== undefined && now - disowned < DISOWNED_MS) return notTheirs(jid);
    if (this.#contacts.has(uid)) return undefined;
    const ofMember = [...this.#contacts].filter(([, contact]) => contact.jid === jid);
    const rivals = ofMember.length >= MAX_FIRST_CONTACTS_OF_MEMBER ? ofMember : this.#rivals();
    if (rivals !== undefined) {
      // Maps keep the order of insertion, so the first is the oldest.
      const [oldest] = rivals;
      if (oldest === undefined || now - oldest[1].since < FIRST_CONTACT_MS) {
        return TURN;
      }
      this.#displace(oldest[0]);
    }
    this.#contacts.set(uid, { jid, since: now });
    return undefined;
  }

  #rivals(): Iterable<[Uid, { jid: string; since: number }]> | undefined {
    return this.#contacts.size >= this.#maxContacts ? this.#contacts : undefined;
  }

  /** Ends a first contact; its node waits from now on. */
  #displace(uid: Uid): void {
    const contact = this.#contacts.get(uid);
    if (contact === undefined) return;
    this.#contacts.delete(uid);
    this.#heard.delete(uid);
    this.#displaced = true;
    this.counters.trust_first_contacts_displaced++;
    this.waiting.note(contact.jid, uid, TURN);
  }
}

function notTheirs(jid: string): string {
  return `the node itself says that it is not ${jid}'s, who signals in its place: no link, and nothing is pinned under this name`;
}

function notVerified(jid: string, uid: Uid): string {
  return `not verified, and security.trust is strict; compare the code of: kith trust verify ${shellWord(jid)} ${uid}`;
}
