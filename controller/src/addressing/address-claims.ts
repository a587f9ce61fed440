import type { Uid } from '@kith/protocol';
import type { Subnet } from './subnet.ts';

/** How a node came by its address: a person wrote it down, or the node chose it and can choose another. */
export type ClaimKind = 'static' | 'auto';

/** What a node says of its address in the network; null: it has none (yet). */
export interface Claim {
  ip4: string | null;
  kind: ClaimKind;
}

/** Nodes whose claims are kept; as many as tincan takes members. */
const MAX_CLAIMS = 4_096;

/** Pauses between two changes of our own address while somebody contests each: from, to, and the calm that forgets them. */
const FIRST_MOVE_PAUSE_MS = 1_000;
const MAX_MOVE_PAUSE_MS = 60_000;
const MOVES_FORGOTTEN_MS = 600_000;

/**
 * Who has which IPv4 address in a group network. Pure. One rule decides on every node alike, whatever arrived in which order: of those
 * that claim an address, a static one has it before an automatic one, then the one with the smaller UID. A loser gets no traffic
 * under the address; an automatic one chooses another that nobody claims, so that after each claim was heard by all, every address
 * has one owner: the automatic node with the smallest UID has nobody to yield to but static ones, so it settles first; the next one
 * has nobody to yield to but those; and so on.
 */
export class AddressClaims {
  readonly #me: Uid;
  readonly #subnet: Subnet;
  readonly #reserved: ReadonlySet<string>;
  readonly #claims = new Map<Uid, Claim>();
  /** Who claims each address. */
  readonly #claimants = new Map<string, Set<Uid>>();
  /** What nodes claim that is none of our subnet's addresses. */
  readonly #outside = new Map<Uid, string>();
  #settled: boolean;
  #moves = 0;
  #movedAt = Number.NEGATIVE_INFINITY;
  readonly counters = { addresses_outside_subnet: 0, claims_beyond_limit: 0, address_moves: 0 };

  /**
   * @param own `static` with the address of the config, or `auto` with the one that this node had before, null when it never had one
   * @param reserved addresses that this node must not choose
   */
  constructor(me: Uid, subnet: Subnet, own: Claim, reserved: ReadonlySet<string> = new Set()) {
    this.#me = me;
    this.#subnet = subnet;
    this.#reserved = reserved;
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
    const { ip4, kind } = this.own;
    if (!this.#settled || kind === 'static' || (ip4 !== null && this.owner(ip4) === this.#me)) return false;
    if (now < this.nextReview()) return false;
    if (now - this.#movedAt > MOVES_FORGOTTEN_MS) this.#moves = 0;
    const chosen = this.#subnet.choose(
      this.#me,
      (each) => !this.#claimants.has(each) && !this.#reserved.has(each),
    );
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

  /** Whether this node's own address is contested by one who wins it, or there was none left to choose. */
  get isHomeless(): boolean {
    const { ip4 } = this.own;
    return this.#settled && (ip4 === null || this.owner(ip4) !== this.#me);
  }

  /** Who has an address. */
  owner(ip4: string): Uid | undefined {
    let best: Uid | undefined;
    for (const uid of this.#claimants.get(ip4) ?? []) {
      if (best === undefined || this.#comesBefore(uid, best)) best = uid;
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

  /** The others that claim the same address as a node. */
  rivalsOf(uid: Uid): Uid[] {
    const ip4 = this.#claims.get(uid)?.ip4;
    if (ip4 === undefined || ip4 === null) return [];
    return [...(this.#claimants.get(ip4) ?? [])].filter((each) => each !== uid).sort();
  }

  #comesBefore(a: Uid, b: Uid): boolean {
    const aIsStatic = this.#claims.get(a)?.kind === 'static';
    const bIsStatic = this.#claims.get(b)?.kind === 'static';
    return aIsStatic === bIsStatic ? a < b : aIsStatic;
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
