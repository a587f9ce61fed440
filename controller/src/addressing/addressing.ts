import type { KithConfig } from '@kith/config';
import type { Translation, Uid } from '@kith/protocol';
import { AddressClaims, type Claim } from './address-claims.ts';
import type { Remembered } from './address-store.ts';
import { IP6_PREFIX_LENGTH, networkPrefix, overlayIp6 } from './overlay-ip6.ts';
import { SocialMap } from './social-map.ts';
import { Subnet } from './subnet.ts';
import { NO_TENURE, type Tenure } from './tenure.ts';

/** What tincan is to know of a member's node. */
export interface MemberAddress {
  /** Where this node sends to it; null: nowhere, by IPv4. */
  ip4: string | null;
  ip6: string;
  /** What the node itself says of its IPv4 address counts for nothing. */
  ip4_translated: boolean;
}

/** What tincan is to set on this node's interface. */
export interface LocalAddress {
  ip4?: string;
  ip4_mask: number;
  ip6: string;
  ip6_mask: number;
}

/**
 * Who has which address in the network, as this node sees it: in a group network all in one space, in a social one friends at
 * addresses of this node's own. Pure but for `save`.
 */
export class Addressing {
  readonly #subnet: Subnet;
  readonly #claims: AddressClaims;
  readonly #map: SocialMap | undefined;
  /** In a social network: the address that each friend's node has in its own view. */
  readonly #theirs = new Map<Uid, string | null>();
  /** IPv6 addresses that were computed already; they cost a hundred times a look-up. */
  readonly #ip6 = new Map<Uid, string>();
  readonly #me: Uid;
  readonly #prefix: Uint8Array;
  readonly #save: (remembered: Remembered) => void;

  /**
   * @param save called with what is to be remembered, whenever that changed
   * @param tenure who held which static address before
   */
  constructor(
    me: Uid,
    { network, xmpp }: Pick<KithConfig, 'network' | 'xmpp'>,
    remembered: Remembered,
    save: (remembered: Remembered) => void,
    tenure: Tenure = NO_TENURE,
  ) {
    this.#me = me;
    this.#save = save;
    this.#subnet = new Subnet(network.subnet);
    this.#prefix = networkPrefix({ kind: network.kind, jid: xmpp.jid, group: network.group });
    const own: Claim =
      network.ip4 === null
        ? { ip4: remembered.ip4, kind: 'auto' }
        : { ip4: network.ip4.address, kind: 'static' };
    const ownSince = remembered.held?.ip4 === own.ip4 ? remembered.held?.since : undefined;
    const reserved = new Set(Object.values(network.friends));
    this.#claims = new AddressClaims(me, this.#subnet, own, reserved, tenure, ownSince);
    if (network.kind === 'social') {
      // Nobody else has a say about a view of one's own, so there is nothing to wait for.
      if (this.#claims.settle(0)) this.#claims.review(0);
      this.#map = new SocialMap(this.#subnet, this.#claims.own.ip4, network.friends, remembered.friends);
    }
    const { ip4, kind } = this.#claims.own;
    if (kind === 'auto' && ip4 !== remembered.ip4) this.#remember();
  }

  get counters(): Record<string, number> {
    return { ...this.#claims.counters, ...this.#map?.counters };
  }

  /** What this node tells the others of itself. */
  get announcement(): Claim {
    return this.#claims.own;
  }

  get local(): LocalAddress {
    const { ip4 } = this.#claims.own;
    return {
      ...(ip4 === null ? {} : { ip4 }),
      ip4_mask: this.#subnet.prefixLength,
      ip6: overlayIp6(this.#prefix, this.#me),
      ip6_mask: IP6_PREFIX_LENGTH,
    };
  }

  /** False while this node waits for others' claims before it chooses its first address. */
  get isSettled(): boolean {
    return this.#claims.isSettled;
  }

  /** The others' claims have come: chooses the first address. True when this node's address changed. */
  settle(now: number): boolean {
    return this.#changed(this.#claims.settle(now));
  }

  /** A node of a member says where it is. True when this node's own address changed by it. */
  heard(uid: Uid, member: string, claim: Claim, now: number): boolean {
    if (this.#map !== undefined) {
      this.#theirs.set(uid, claim.ip4);
      const before = this.#map.addressOf(uid);
      if (this.#map.addressFor(uid, member, (each) => this.#theirs.has(each)) !== before) this.#remember();
      return false;
    }
    this.#claims.heard(uid, claim);
    return this.review(now);
  }

  /** Leaves an address that turned out to be another's, if that may be now. True when this node's address changed. */
  review(now: number): boolean {
    return this.#changed(this.#claims.review(now));
  }

  /** Notes who holds which static address, from now on; to be called when all who are there may have been heard, and after changes. */
  keep(now: Date): void {
    if (this.#map === undefined && this.#claims.keep(now)) this.#remember();
  }

  /** The addresses that others hold: nobody else is to send from them. */
  kept(): string[] {
    return this.#map === undefined ? this.#claims.kept() : [];
  }

  /** Another node keeps this node's address for a third. True when this node's address changed by it. */
  refused(ip4: string, now: number): boolean {
    if (this.#map !== undefined) return false;
    this.#claims.refuse(ip4);
    return this.review(now);
  }

  /** The automatic address that a node is to leave because it is kept for one who is away; undefined: none. */
  refusalFor(uid: Uid): string | undefined {
    const { ip4 = null, kind } = this.#claims.claimOf(uid) ?? {};
    if (ip4 === null || kind !== 'auto' || !this.#claims.isKeptFrom(uid)) return undefined;
    return this.isAway(this.#claims.owner(ip4) ?? uid) ? ip4 : undefined;
  }

  /** Whether nothing is heard of a node, whose address may be kept for it all the same. */
  isAway(uid: Uid): boolean {
    return this.#claims.isAway(uid);
  }

  /** Since when a node holds a static address, ISO 8601; undefined: it does not. */
  heldSince(uid: Uid, ip4: string): string | undefined {
    return this.#claims.heldSince(uid, ip4);
  }

  /** When `review` is to be called; Infinity: no need. */
  nextReview(): number {
    const waits = this.#claims.isHomeless && this.#claims.own.kind === 'auto';
    return waits ? this.#claims.nextReview() : Number.POSITIVE_INFINITY;
  }

  /** The node is no member any more, or gone for longer than a hub's restart takes. */
  gone(uid: Uid): void {
    this.#claims.forget(uid);
    this.#theirs.delete(uid);
    this.#ip6.delete(uid);
  }

  /** Whether the node has said where it is. */
  knows(uid: Uid): boolean {
    return this.#theirs.has(uid) || this.#claims.claimOf(uid) !== undefined;
  }

  member(uid: Uid): MemberAddress {
    const ip6 = this.#ip6Of(uid);
    if (this.#map !== undefined) return { ip4: this.#map.addressOf(uid) ?? null, ip6, ip4_translated: true };
    const ip4 = this.#claims.addressOf(uid);
    const claimed = this.#claims.claimOf(uid)?.ip4 ?? null;
    return { ip4, ip6, ip4_translated: claimed !== null && ip4 === null };
  }

  /** How packets of a friend's node are to be rewritten; undefined where nothing is, or not yet. */
  translation(uid: Uid): Translation | undefined {
    const mapped_ip4 = this.#map?.addressOf(uid);
    const remote_ip4 = this.#theirs.get(uid);
    const local_ip4 = this.#claims.own.ip4;
    if (mapped_ip4 === undefined || remote_ip4 === undefined || remote_ip4 === null || local_ip4 === null)
      return undefined;
    return { remote_ip4, mapped_ip4, local_ip4 };
  }

  /** The nodes that a person should know to claim the same address as the given one; this node included. */
  rivalsOf(uid: Uid): readonly Uid[] {
    return this.#map === undefined ? this.#claims.rivalsOf(uid) : [];
  }

  /** What a node says of itself in a group network; undefined in a social one, where it counts for nothing. */
  claimOf(uid: Uid): Claim | undefined {
    return this.#claims.claimOf(uid);
  }

  /** The address that a node claims in a group network although it is not in this node's subnet. */
  outsideOf(uid: Uid): string | undefined {
    return this.#claims.outsideOf(uid);
  }

  /** What a node said of itself last; undefined: nothing. */
  announcedBy(uid: Uid): Claim | undefined {
    const theirs = this.#theirs.get(uid);
    return theirs === undefined ? this.#claims.claimOf(uid) : { ip4: theirs, kind: 'auto' };
  }

  /** Who has an address. */
  owner(ip4: string): Uid | undefined {
    return this.#claims.owner(ip4);
  }

  #ip6Of(uid: Uid): string {
    const known = this.#ip6.get(uid);
    if (known !== undefined) return known;
    const ip6 = overlayIp6(this.#prefix, uid);
    this.#ip6.set(uid, ip6);
    return ip6;
  }

  #changed(changed: boolean): boolean {
    if (changed) this.#remember();
    return changed;
  }

  #remember(): void {
    const { ip4, kind } = this.#claims.own;
    const since = this.#claims.ownSince;
    this.#save({
      ip4: kind === 'auto' ? ip4 : null,
      friends: this.#map?.nodes ?? [],
      ...(ip4 === null || since === undefined ? {} : { held: { ip4, since } }),
    });
  }
}
