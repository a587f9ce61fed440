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

/** The links of this node by UID and by slot. One UID has at most one link. */
export class LinkTable {
  readonly #byUid = new Map<Uid, Link>();
  readonly #bySlot = new Map<number, Link>();
  #lastSlot = 0;

  get size(): number {
    return this.#byUid.size;
  }

  /**
   * A slot number for a new link.
   * @throws SystemError LINK_LIMIT when there are too many links.
   */
  freeSlot(): number {
    if (this.#byUid.size >= MAX_LINKS) {
      throw new SystemError('LINK_LIMIT', `this node has its ${MAX_LINKS} links already`);
    }
    do {
      this.#lastSlot = (this.#lastSlot % SLOTS) + 1;
    } while (this.#bySlot.has(this.#lastSlot));
    return this.#lastSlot;
  }

  add(link: Link): void {
    this.#byUid.set(link.uid, link);
    this.#bySlot.set(link.slot, link);
  }

  /** Forgets a link, unless its UID has a newer one already. */
  remove(link: Link): void {
    if (this.#byUid.get(link.uid) === link) this.#byUid.delete(link.uid);
    if (this.#bySlot.get(link.slot) === link) this.#bySlot.delete(link.slot);
  }

  get(uid: Uid): Link | undefined {
    return this.#byUid.get(uid);
  }

  bySlot(slot: number): Link | undefined {
    return this.#bySlot.get(slot);
  }

  all(): IterableIterator<Link> {
    return this.#byUid.values();
  }
}
