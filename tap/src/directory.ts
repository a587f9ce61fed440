import { ConfigError } from '@kith/base';
import { KIND_IP4, KIND_IP6, KIND_MAC } from './addresses.ts';
import type { Member } from './member.ts';
import { word16, word32 } from './wire-bytes.ts';

/** Twice what the largest roster group of the field holds; the forwarding table has room for all of them. */
export const MAX_MEMBERS = 4096;

/** What is known of a node, member or not. */
interface Node {
  readonly member: Member | undefined;
  readonly mac: Uint8Array;
  /** The link that is bound to its MAC, while there is one. */
  link: number | undefined;
}

/** Who answers to an address. */
export interface Neighbour {
  readonly mac: Uint8Array;
  readonly link: number | undefined;
}

/** An address that became somebody's. */
export interface Gain {
  readonly mac: Uint8Array;
  readonly kind: number;
  readonly address: Uint8Array;
}

/** The main thread's book of members and links: which node has which address, and which of them has a link. No I/O. */
export class Directory {
  readonly #members = new Map<string, Node>();
  readonly #byMac = new Map<number, Node>();
  readonly #byLink = new Map<number, Node>();
  /** Owners by address; what a link bound goes before what a member is only said to have. */
  readonly #bound = new Map<string, Node>();
  readonly #announced = new Map<string, Node>();
  readonly #gained: Gain[] = [];
  /** Addresses that more than one member was said to have. */
  readonly #contested = new Set<string>();
  readonly #addressesOfLink = new Map<number, string[]>();

  get size(): number {
    return this.#members.size;
  }

  /**
   * Adds a member or replaces what was known of it. Returns the MAC that it had before, when that changed. Throws ConfigError
   * TAP_MEMBERS_FULL beyond MAX_MEMBERS, TAP_MEMBER_MAC for a MAC that is another member's.
   */
  setMember(member: Member): Uint8Array | undefined {
    const { uid, mac } = member;
    const old = this.#members.get(uid);
    if (old === undefined && this.#members.size >= MAX_MEMBERS) {
      throw new ConfigError('TAP_MEMBERS_FULL', `at most ${MAX_MEMBERS} members`, { field: 'uid' });
    }
    const holder = this.#byMac.get(macKey(mac, 0));
    if (holder?.member !== undefined && holder.member.uid !== uid) {
      throw new ConfigError('TAP_MEMBER_MAC', `the MAC address is that of member ${holder.member.uid}`, {
        field: 'mac',
      });
    }
    const addresses = addressesOf(member);
    const hasNewMac = old !== undefined && macKey(old.mac, 0) !== macKey(mac, 0);
    if (old !== undefined) this.#forget(old, addresses);
    if (hasNewMac && old.link !== undefined) this.#enter({ member: undefined, mac: old.mac, link: old.link });
    const node: Node = { member, mac: Uint8Array.from(mac), link: holder?.link };
    this.#enter(node);
    this.#members.set(uid, node);
    for (const { key, kind, address } of addresses) {
      const owner = this.#announced.get(key);
      if (owner !== undefined && owner !== old) {
        // The first one named keeps it, as in the forwarding table.
        this.#contested.add(key);
        continue;
      }
      this.#announced.set(key, node);
      if (owner === undefined || hasNewMac) this.#gained.push({ mac: node.mac, kind, address });
    }
    return hasNewMac ? old.mac : undefined;
  }

  /** Returns the member that was there. Its link, if it has one, stays. */
  removeMember(uid: string): Member | undefined {
    const old = this.#members.get(uid);
    if (old === undefined) return undefined;
    this.#members.delete(uid);
    this.#forget(old, []);
    if (old.link !== undefined) this.#enter({ member: undefined, mac: old.mac, link: old.link });
    return old.member;
  }

  /** Which addresses found their member since the last call, in order. */
  takeGained(): Gain[] {
    return this.#gained.splice(0);
  }

  /** The member's link, while there is one. */
  linkOfMember(uid: string): number | undefined {
    return this.#members.get(uid)?.link;
  }

  /** The member that has the MAC at `at`. */
  memberOfMac(data: Uint8Array, at: number): Member | undefined {
    return this.#byMac.get(macKey(data, at))?.member;
  }

  /** A link was bound to an address. False when another link has it, which keeps it. */
  bound(link: number, kind: number, address: Uint8Array): boolean {
    if (kind === KIND_MAC) {
      const key = macKey(address, 0);
      const known = this.#byMac.get(key);
      if (known?.link !== undefined && known.link !== link) return false;
      const node = known ?? { member: undefined, mac: Uint8Array.from(address), link };
      node.link = link;
      this.#enter(node);
      return true;
    }
    const node = this.#byLink.get(link);
    const key = addressKey(kind, address, 0);
    const holder = this.#bound.get(key);
    if (node === undefined || holder !== undefined) return node !== undefined && holder === node;
    this.#bound.set(key, node);
    const addresses = this.#addressesOfLink.get(link) ?? [];
    addresses.push(key);
    this.#addressesOfLink.set(link, addresses);
    return true;
  }

  /** A link is gone. Returns the member that it led to, if it was one. */
  unbound(link: number): Member | undefined {
    for (const key of this.#addressesOfLink.get(link) ?? []) this.#bound.delete(key);
    this.#addressesOfLink.delete(link);
    const node = this.#byLink.get(link);
    if (node === undefined) return undefined;
    this.#byLink.delete(link);
    node.link = undefined;
    if (node.member === undefined) this.#byMac.delete(macKey(node.mac, 0));
    return node.member;
  }

  /** The MAC that a link is bound to. */
  macOfLink(link: number): Uint8Array | undefined {
    return this.#byLink.get(link)?.mac;
  }

  /** Who has the IPv4 or IPv6 address at `at`. */
  neighbour(kind: number, data: Uint8Array, at: number): Neighbour | undefined {
    const key = addressKey(kind, data, at);
    return this.#bound.get(key) ?? this.#announced.get(key);
  }

  #enter(node: Node): void {
    this.#byMac.set(macKey(node.mac, 0), node);
    if (node.link === undefined) return;
    const before = this.#byLink.get(node.link);
    this.#byLink.set(node.link, node);
    if (before === undefined || before === node) return;
    for (const key of this.#addressesOfLink.get(node.link) ?? []) this.#bound.set(key, node);
  }

  /** Takes a node's MAC and addresses out of the book, except those that it keeps. */
  #forget(node: Node, kept: readonly MemberAddress[]): void {
    this.#byMac.delete(macKey(node.mac, 0));
    if (node.member === undefined) return;
    for (const { key, kind } of addressesOf(node.member)) {
      if (this.#announced.get(key) !== node || kept.some((other) => other.key === key)) continue;
      this.#announced.delete(key);
      if (this.#contested.delete(key)) this.#settle(kind, key, node.member.uid);
    }
  }

  /** Gives a contested address that became free to the next member which was said to have it. */
  #settle(kind: number, key: string, exceptUid: string): void {
    for (const node of this.#members.values()) {
      if (node.member === undefined || node.member.uid === exceptUid) continue;
      const claim = addressesOf(node.member).find((address) => address.key === key);
      if (claim === undefined) continue;
      if (this.#announced.has(key)) {
        this.#contested.add(key);
        return;
      }
      this.#announced.set(key, node);
      this.#gained.push({ mac: node.mac, kind, address: claim.address });
    }
  }
}

interface MemberAddress {
  readonly key: string;
  readonly kind: number;
  readonly address: Uint8Array;
}

function addressesOf({ ip4, ip6 }: Member): MemberAddress[] {
  const addresses: MemberAddress[] = [];
  if (ip4 !== null) addresses.push({ key: addressKey(KIND_IP4, ip4, 0), kind: KIND_IP4, address: ip4 });
  if (ip6 !== null) addresses.push({ key: addressKey(KIND_IP6, ip6, 0), kind: KIND_IP6, address: ip6 });
  return addresses;
}

/** 48 bits are an exact number. */
function macKey(data: Uint8Array, at: number): number {
  return word16(data, at) * 0x1_0000_0000 + (word32(data, at + 2) >>> 0);
}

function addressKey(kind: number, data: Uint8Array, at: number): string {
  const high = `${kind} ${word32(data, at)}`;
  if (kind !== KIND_IP6) return high;
  return `${high} ${word32(data, at + 4)} ${word32(data, at + 8)} ${word32(data, at + 12)}`;
}
