import type { Uid } from '@kith/protocol';
import type { Subnet } from './subnet.ts';
import { NO_TENURE, type Tenure } from './tenure.ts';

/** How a node came by its address: a person wrote it down, or the node chose it and can choose another. */
export type ClaimKind = 'static' | 'auto';

/** What a node says of its address in the network; null: it has none (yet). */
export interface Claim {
  ip4: string | null;
  kind: ClaimKind;
}

/** Nodes whose claims are kept; as many as tincan takes members. */
const MAX_CLAIMS = 4_096;

/** Addresses that others do not let this node have, as far as they said; who names more of them has the oldest forgotten. */
const MAX_REFUSED = 64;

/** Pauses between two changes of our own address while somebody contests each: from, to, and the calm that forgets them. */
const FIRST_MOVE_PAUSE_MS = 1_000;
const MAX_MOVE_PAUSE_MS = 60_000;
const MOVES_FORGOTTEN_MS = 600_000;

/**
 * Who has which IPv4 address in a group network. Pure but for `tenure`. Of those that claim an address, a static one has it before an
 * automatic one. Of two static ones a verified node has it before one that is not, then the one that this node has known by it: an
 * address that one node alone claimed once is *held* by it, whether it is there or not, until it says that it is elsewhere. Then the
 * smaller UID has it. The loser gets no traffic under the address.
 *
 * What is held may differ from node to node, so that nodes may differ about two static claims; each for itself never gives an address to
 * two. Automatic claims are decided alike by all, in whatever order they came: by the smaller UID. The loser chooses another that nobody
 * claims and nobody holds, so that after each claim was heard by all, every address has one owner: the automatic node with the smallest
 * UID has nobody to yield to but static ones, so it settles first; the next one has nobody to yield to but those; and so on. That some
 * other node keeps the address for one who is away it cannot know; that node tells it (`refuse`).
 */
export class AddressClaims {
  readonly #me: Uid;
  readonly #subnet: Subnet;
  readonly #reserved: ReadonlySet<string>;
  readonly #tenure: Tenure;
  /** Since when this node holds its own static address, ISO 8601. */
  #ownSince: string | undefined;
  readonly #refused = new Set<string>();
  readonly #claims = new Map<Uid, Claim>();
  /** Who claims each address. */
  readonly #claimants = new Map<string, Set<Uid>>();
  /** What nodes claim that is none of our subnet's addresses. */
  readonly #outside = new Map<Uid, string>();
  #settled: boolean;
  #moves = 0;
  #movedAt = Number.NEGATIVE_INFINITY;
  readonly counters = {
    addresses_outside_subnet: 0,
    claims_beyond_limit: 0,
    address_moves: 0,
    /** Claims to an address that another node holds. */
    address_claims_refused: 0,
  };

  /**
   * @param own `static` with the address of the config, or `auto` with the one that this node had before, null when it never had one
   * @param reserved addresses that this node must not choose
   * @param tenure who held what before
   * @param ownSince since when this node held its own static address before
   */
  constructor(
    me: Uid,
    subnet: Subnet,
    own: Claim,
    reserved: ReadonlySet<string> = new Set(),
    tenure: Tenure = NO_TENURE,
    ownSince?: string,
  ) {
    this.#me = me;
    this.#subnet = subnet;
    this.#reserved = reserved;
    this.#tenure = tenure;
    this.#ownSince = own.kind === 'static' ? ownSince : undefined;
    const ip4 = own.ip4 !== null && subnet.has(own.ip4) && !reserved.has(own.ip4) ? own.ip4 : null;
    this.#settled = ip4 !== null;
    this.#put(me, { ip4, kind: own.kind });
  }

  /** What this node says of itself. */
  get own(): Claim {
    return this.#claims.get(this.#me) ?? { ip4: null, kind: 'auto' };
  }

  /** Whether this node may still be about to hear of claims before it chooses its first address. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** The claims of those who are there have been heard: the first address may be chosen. True when it was. */
  settle(now: number): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    return this.review(now);
  }

  /** What a node says of itself came. An address outside the subnet is none. */
  heard(uid: Uid, { ip4, kind }: Claim): void {
    if (uid === this.#me) return;
    if (!this.#claims.has(uid) && this.#claims.size > MAX_CLAIMS) {
      this.counters.claims_beyond_limit++;
      return;
    }
    const inside = ip4 !== null && this.#subnet.has(ip4);
    this.#outside.delete(uid);
    if (ip4 !== null && !inside) {
      this.#outside.set(uid, ip4);
      this.counters.addresses_outside_subnet++;
    }
    this.#put(uid, { ip4: inside ? ip4 : null, kind });
    if (ip4 === null || kind === 'auto' || this.#tenure.heldSince(uid, ip4) === undefined) {
      this.#tenure.giveUp(uid);
    }
    if (inside && this.isKeptFrom(uid)) this.counters.address_claims_refused++;
  }

  /**
   * Notes who holds which static address: each that is claimed by one node alone. To be called when all who are there may have been
   * heard, and after changes. True when this node's own hold began by it.
   */
  keep(now: Date): boolean {
    let began = false;
    for (const [uid, { ip4, kind }] of this.#claims) {
      if (ip4 === null || kind !== 'static' || this.heldSince(uid, ip4) !== undefined) continue;
      if (this.#contenders(ip4).some((other) => other !== uid)) continue;
      if (uid === this.#me) {
        this.#ownSince = now.toISOString();
        began = true;
      } else this.#tenure.hold(uid, ip4);
    }
    return began;
  }

  /** Since when this node holds its own static address, ISO 8601; undefined: it does not. */
  get ownSince(): string | undefined {
    return this.#ownSince;
  }

  /** Another node keeps an address for a third. This node leaves it at the next review, if it may. */
  refuse(ip4: string): void {
    if (this.own.kind !== 'auto' || this.own.ip4 !== ip4) return;
    this.#refused.add(ip4);
    for (const oldest of this.#refused) {
      if (this.#refused.size <= MAX_REFUSED) break;
      this.#refused.delete(oldest);
    }
  }

  /** Whether the address that a node claims is held by another, so that it does not get it here. */
  isKeptFrom(uid: Uid): boolean {
    const ip4 = this.#claims.get(uid)?.ip4 ?? null;
    const owner = ip4 === null ? undefined : this.owner(ip4);
    return ip4 !== null && owner !== undefined && owner !== uid && this.heldSince(owner, ip4) !== undefined;
  }

  /** The addresses that others hold and have, there or away. */
  kept(): string[] {
    return [...this.#tenure.addresses()].filter((ip4) => {
      const owner = this.#subnet.has(ip4) ? this.owner(ip4) : undefined;
      return owner !== undefined && owner !== this.#me && this.heldSince(owner, ip4) !== undefined;
    });
  }

  /** Whether a node is away whose address is kept for it. */
  isAway(uid: Uid): boolean {
    return !this.#claims.has(uid);
  }

  /** Since when a node holds an address, ISO 8601; undefined: it does not. */
  heldSince(uid: Uid, ip4: string): string | undefined {
    if (uid !== this.#me) return this.#tenure.heldSince(uid, ip4);
    return this.own.ip4 === ip4 ? this.#ownSince : undefined;
  }

  /** The node is gone for as long as we can know. Its address may be given to another. */
  forget(uid: Uid): void {
    if (uid === this.#me) return;
    this.#release(uid);
    this.#outside.delete(uid);
    this.#claims.delete(uid);
  }

  /** To be called after each change: moves this node off an address that is another's, if it may. True when it moved. */
  review(now: number): boolean {
    const { kind } = this.own;
    if (!this.#settled || kind === 'static' || !this.isHomeless) return false;
    if (now < this.nextReview()) return false;
    if (now - this.#movedAt > MOVES_FORGOTTEN_MS) this.#moves = 0;
    const isFree = (each: string): boolean =>
      this.#contenders(each).length === 0 && !this.#reserved.has(each);
    const chosen =
      this.#subnet.choose(this.#me, (each) => isFree(each) && !this.#refused.has(each)) ??
      this.#subnet.choose(this.#me, isFree);
    if (chosen === undefined) return false;
    this.#moves++;
    this.#movedAt = now;
    this.counters.address_moves++;
    this.#put(this.#me, { ip4: chosen, kind });
    return true;
  }

  /** When `review` may move again, should it have to; in the past: at once. */
  nextReview(): number {
    // The first choice and the first move are free: they are what a start needs.
    if (this.#moves < 2) return Number.NEGATIVE_INFINITY;
    return (
      this.#movedAt + Math.min(MAX_MOVE_PAUSE_MS, FIRST_MOVE_PAUSE_MS * 2 ** Math.min(this.#moves - 2, 16))
    );
  }

  /** Whether this node's own address is another's, here or (an automatic one) elsewhere, or there was none left to choose. */
  get isHomeless(): boolean {
    const { ip4 } = this.own;
    return this.#settled && (ip4 === null || this.owner(ip4) !== this.#me || this.#refused.has(ip4));
  }

  /** Who has an address; be it one who is away. */
  owner(ip4: string): Uid | undefined {
    let best: Uid | undefined;
    for (const uid of this.#contenders(ip4)) {
      if (best === undefined || this.#comesBefore(uid, best, ip4)) best = uid;
    }
    return best;
  }

  /** The address under which a node gets traffic: the one that it claims, if that is its own. */
  addressOf(uid: Uid): string | null {
    const ip4 = this.#claims.get(uid)?.ip4 ?? null;
    return ip4 !== null && this.owner(ip4) === uid ? ip4 : null;
  }

  /** What a node claims, be it right or wrong. */
  claimOf(uid: Uid): Claim | undefined {
    return this.#claims.get(uid);
  }

  /** The address that a node claims and cannot have, since it is not in this node's subnet. */
  outsideOf(uid: Uid): string | undefined {
    return this.#outside.get(uid);
  }

  /** The others that claim the same address as a node, or for whom it is kept. */
  rivalsOf(uid: Uid): Uid[] {
    const ip4 = this.#claims.get(uid)?.ip4;
    if (ip4 === undefined || ip4 === null) return [];
    return this.#contenders(ip4)
      .filter((each) => each !== uid)
      .sort();
  }

  /**
   * Who claims an address, and for whom it is kept while they are away. A member's machine that is away gives way to another one of the
   * same member: it replaces it.
   */
  #contenders(ip4: string): Uid[] {
    const claimants = [...(this.#claimants.get(ip4) ?? [])];
    const away = this.#tenure.holders(ip4).filter((uid) => uid !== this.#me && this.isAway(uid));
    if (away.length === 0) return claimants;
    const members = claimants.map((uid) => this.#memberOf(uid));
    const isReplaced = (uid: Uid): boolean => {
      const member = this.#memberOf(uid);
      return member !== undefined && members.includes(member);
    };
    return [...claimants, ...away.filter((uid) => !isReplaced(uid))];
  }

  #comesBefore(a: Uid, b: Uid, ip4: string): boolean {
    const [aIsStatic, bIsStatic] = [this.#isStatic(a), this.#isStatic(b)];
    if (aIsStatic !== bIsStatic) return aIsStatic;
    if (!aIsStatic) return a < b;
    const [aIsVerified, bIsVerified] = [this.#isVerified(a), this.#isVerified(b)];
    if (aIsVerified !== bIsVerified) return aIsVerified;
    const [aSince, bSince] = [this.heldSince(a, ip4), this.heldSince(b, ip4)];
    if (aSince === bSince) return a < b;
    return bSince === undefined || (aSince !== undefined && aSince < bSince);
  }

  /** Whose address is kept for him wrote it down. */
  #isStatic(uid: Uid): boolean {
    return (this.#claims.get(uid)?.kind ?? 'static') === 'static';
  }

  /** This node believes itself before others where it was there before them. */
  #isVerified(uid: Uid): boolean {
    return uid === this.#me ? this.#ownSince !== undefined : this.#tenure.isVerified(uid);
  }

  #memberOf(uid: Uid): string | undefined {
    return uid === this.#me ? this.#tenure.self : this.#tenure.memberOf(uid);
  }

  #put(uid: Uid, claim: Claim): void {
    this.#release(uid);
    this.#claims.set(uid, claim);
    if (claim.ip4 === null) return;
    const claimants = this.#claimants.get(claim.ip4) ?? new Set();
    this.#claimants.set(claim.ip4, claimants.add(uid));
  }

  #release(uid: Uid): void {
    const ip4 = this.#claims.get(uid)?.ip4;
    if (ip4 === undefined || ip4 === null) return;
    const claimants = this.#claimants.get(ip4);
    claimants?.delete(uid);
    if (claimants?.size === 0) this.#claimants.delete(ip4);
  }
}
