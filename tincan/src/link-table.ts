import { SystemError } from '@kith/base';
import type { Uid } from '@kith/protocol';
import type { Link } from './link.ts';

/**
 * Links per node. Each holds some 0.6 MiB of buffers and an ICE agent with a thread's attention; a full mesh of friends is far below.
 */
export const MAX_LINKS = 256;

/**
 * Slot numbers in use are a quarter of all there are and are handed out in turn, so that frames which the egress worker tagged for a
 * closed link are long gone before its number means another one. Slot 0 is this node itself.
 */
const SLOTS = MAX_LINKS * 4;

/**
 * The links of this node by UID and by slot. One UID has at most one link that carries, and beside it at most one successor: the next
 * attempt, which takes its place once it is online.
 */
export class LinkTable {
  readonly #byUid = new Map<Uid, Link>();
  readonly #successors = new Map<Uid, Link>();
  readonly #bySlot = new Map<number, Link>();
  #lastSlot = 0;

  get size(): number {
    return this.#byUid.size;
  }

  /**
   * A slot number for a new link to a node.
   * @throws SystemError LINK_LIMIT when there are too many links.
   */
  freeSlot(uid: Uid): number {
    if (this.#byUid.size >= MAX_LINKS && !this.#byUid.has(uid)) {
      throw new SystemError('LINK_LIMIT', `this node has its ${MAX_LINKS} links already`);
    }
    do {
      this.#lastSlot = (this.#lastSlot % SLOTS) + 1;
    } while (this.#bySlot.has(this.#lastSlot));
    return this.#lastSlot;
  }

  /** Adds the newest link to a node: as the successor of one that is online. */
  add(link: Link): void {
    if (this.#byUid.get(link.uid)?.state === 'online') this.#successors.set(link.uid, link);
    else this.#byUid.set(link.uid, link);
    this.#bySlot.set(link.slot, link);
  }

  /** Forgets a link, unless its UID has a newer one already. Its successor takes its place. */
  remove(link: Link): void {
    const successor = this.#successors.get(link.uid);
    if (successor === link) this.#successors.delete(link.uid);
    if (this.#byUid.get(link.uid) === link) {
      this.#byUid.delete(link.uid);
      if (successor !== undefined) {
        this.#successors.delete(link.uid);
        this.#byUid.set(link.uid, successor);
      }
    }
    if (this.#bySlot.get(link.slot) === link) this.#bySlot.delete(link.slot);
  }

  get(uid: Uid): Link | undefined {
    return this.#byUid.get(uid);
  }

  bySlot(slot: number): Link | undefined {
    return this.#bySlot.get(slot);
  }

  /** The link of the highest attempt: the successor, if there is one. */
  newest(uid: Uid): Link | undefined {
    return this.#successors.get(uid) ?? this.#byUid.get(uid);
  }

  /** A node's links, or those of them that belong to one attempt. */
  of(uid: Uid, attempt?: number): Link[] {
    return [this.#successors.get(uid), this.#byUid.get(uid)].flatMap((link) =>
      link === undefined || (attempt !== undefined && link.attempt !== attempt) ? [] : [link],
    );
  }

  /** Each node's link. */
  all(): IterableIterator<Link> {
    return this.#byUid.values();
  }

  successors(): IterableIterator<Link> {
    return this.#successors.values();
  }
}
