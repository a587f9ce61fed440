import type { Uid } from '@kith/protocol';
import type { Subnet } from './subnet.ts';

/** A friend's node and the address at which this node sees it. */
export interface MappedNode {
  uid: Uid;
  /** Bare JID of the friend. */
  jid: string;
  ip4: string;
}

/** Nodes that are remembered; as many as tincan takes members. */
export const MAX_MAPPED = 4_096;

/**
 * Which address of this node's own subnet stands for which friend's node: a social network's private view. Pure. A node keeps its
 * address for good; only when the memory or the subnet is full does the one that was not seen for the longest time give up its own.
 */
export class SocialMap {
  readonly #subnet: Subnet;
  readonly #own: string | null;
  readonly #fixed: ReadonlyMap<string, string>;
  /** In the order in which they were last seen. */
  readonly #nodes = new Map<Uid, MappedNode>();
  readonly #owners = new Map<string, Uid>();
  readonly counters = { friends_forgotten: 0, friends_without_address: 0 };

  /**
   * @param own this node's address
   * @param fixed addresses by bare JID that a person wrote down; a friend's first node gets his
   * @param remembered from earlier runs, the one seen last at the end; what does not fit any more is left out
   */
  constructor(
    subnet: Subnet,
    own: string | null,
    fixed: Readonly<Record<string, string>>,
    remembered: readonly MappedNode[],
  ) {
    this.#subnet = subnet;
    this.#own = own;
    this.#fixed = new Map(Object.entries(fixed));
    const reserved = new Map(Object.entries(fixed).map(([jid, ip4]) => [ip4, jid]));
    for (const node of remembered) {
      const owner = reserved.get(node.ip4);
      const isFree = node.ip4 !== own && !this.#owners.has(node.ip4) && (owner ?? node.jid) === node.jid;
      if (!isFree || !subnet.has(node.ip4) || this.#nodes.size >= MAX_MAPPED) continue;
      // A friend whose address was fixed since then moves to it.
      if (owner === undefined && this.#fixed.has(node.jid) && !this.#hasFixed(node.jid, remembered)) continue;
      this.#put(node);
    }
  }

  /** What is to be kept for the next run. */
  get nodes(): MappedNode[] {
    return [...this.#nodes.values()];
  }

  addressOf(uid: Uid): string | undefined {
    return this.#nodes.get(uid)?.ip4;
  }

  /**
   * The address of a friend's node that is there; it is given one where it has none. Undefined when all are in use.
   * @param isInUse whether a node may not lose its address now
   */
  addressFor(uid: Uid, jid: string, isInUse: (uid: Uid) => boolean): string | undefined {
    const known = this.#nodes.get(uid);
    if (known !== undefined) {
      this.#nodes.delete(uid);
      this.#nodes.set(uid, known);
      return known.ip4;
    }
    if (this.#nodes.size >= MAX_MAPPED && !this.#forgetOldest(isInUse)) return this.#refuse();
    const fixed = this.#fixed.get(jid);
    let ip4 = fixed !== undefined && !this.#owners.has(fixed) ? fixed : this.#choose(uid);
    if (ip4 === undefined && this.#forgetOldest(isInUse)) ip4 = this.#choose(uid);
    if (ip4 === undefined) return this.#refuse();
    this.#put({ uid, jid, ip4 });
    return ip4;
  }

  #choose(uid: Uid): string | undefined {
    const reserved = new Set(this.#fixed.values());
    return this.#subnet.choose(
      uid,
      (ip4) => ip4 !== this.#own && !this.#owners.has(ip4) && !reserved.has(ip4),
    );
  }

  #refuse(): undefined {
    this.counters.friends_without_address++;
    return undefined;
  }

  #forgetOldest(isInUse: (uid: Uid) => boolean): boolean {
    for (const { uid, ip4 } of this.#nodes.values()) {
      if (isInUse(uid)) continue;
      this.#nodes.delete(uid);
      this.#owners.delete(ip4);
      this.counters.friends_forgotten++;
      return true;
    }
    return false;
  }

  #hasFixed(jid: string, nodes: readonly MappedNode[]): boolean {
    return nodes.some((node) => node.jid === jid && node.ip4 === this.#fixed.get(jid));
  }

  #put(node: MappedNode): void {
    this.#nodes.set(node.uid, node);
    this.#owners.set(node.ip4, node.uid);
  }
}
