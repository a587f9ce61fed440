import { KIND_MAC, LINK_MEMBER, LINK_SELF } from './addresses.ts';
import {
  AGEING_SECONDS,
  BOUND_FLAG,
  FREE,
  isLayer3,
  KEY,
  kindOf,
  linkOf,
  MAX_ENTRIES,
  MAX_LEARNED,
  MAX_LEARNED_PER_LINK,
  META,
  PROBE_WINDOW,
  SEEN_SECONDS,
  SEQUENCE,
  SLOTS,
  slotAt,
  TableKey,
  TOMBSTONE,
} from './table-layout.ts';
import { NO_LINK } from './table-reader.ts';

/** Between two sweeps of a table that looks full, in seconds: a sweep touches every slot. */
const SWEEP_INTERVAL_SECONDS = 1;

/**
 * The one writer of the forwarding table. Learned MACs age; until then, and bound addresses always, stay with their link.
 * Times are whole seconds of threadClock.
 */
export class TableWriter {
  readonly #words: Int32Array;
  readonly #key: TableKey;
  readonly #learnedByLink = new Uint16Array(LINK_SELF + 1);
  #entries = 0;
  #learned = 0;
  #sweptAt = Number.NEGATIVE_INFINITY;
  /** What the last #find found: the key's slot, and the first slot that may take it; -1 for none. */
  #found = -1;
  #reusable = -1;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#key = new TableKey(memory);
  }

  /** Whether the network is one of layer 3. */
  get isLayer3(): boolean {
    return isLayer3(this.#words);
  }

  /** How many learned MACs stand in the table, those that aged but were not replaced included. */
  get learned(): number {
    return this.#learned;
  }

  /** The link that owns the address at `at`, or NO_LINK. A hit by that link itself (`asker`) keeps a learned MAC young. */
  owner(kind: number, data: Uint8Array, at: number, nowSeconds: number, asker: number): number {
    this.#find(kind, data, at);
    if (this.#found < 0) return NO_LINK;
    const meta = this.#word(this.#found + META);
    if (this.#isAged(this.#found, nowSeconds)) return NO_LINK;
    const link = linkOf(meta);
    if (link === asker && this.#word(this.#found + SEEN_SECONDS) !== nowSeconds) {
      // One aligned word that readers only compare with the time: it needs no new sequence number.
      Atomics.store(this.#words, this.#found + SEEN_SECONDS, nowSeconds);
    }
    return link;
  }

  /**
   * Learns that the MAC at `at` is behind `link`; the caller has made sure that no other link owns it. False when the table,
   * or the link's part of it, is full.
   */
  learn(link: number, data: Uint8Array, at: number, nowSeconds: number): boolean {
    if (this.#isLearnedFull(link)) this.#sweep(nowSeconds);
    this.#find(KIND_MAC, data, at);
    if (this.#found >= 0) {
      // It aged: the MAC moved to this link.
      if (this.#isBound(this.#found)) return linkOf(this.#word(this.#found + META)) === link;
      this.#remove(this.#found);
      this.#find(KIND_MAC, data, at);
    }
    if (this.#isLearnedFull(link) || this.#reusable < 0) return false;
    this.#write(this.#reusable, link, nowSeconds, 0);
    this.#learned++;
    this.#learnedByLink[link] = (this.#learnedByLink[link] ?? 0) + 1;
    return true;
  }

  /**
   * Binds an address to a link for good. The first binding wins; it takes the address from a link that only learned it, since
   * a binding was said by an authenticated node about itself, and from `giver`: LINK_MEMBER, whose addresses wait for their link, unless
   * it is said who else gives it. Whoever looks the address up meanwhile finds the old owner or the new one. Returns the owner
   * afterwards, or NO_LINK when the table is full.
   */
  bind(
    link: number,
    kind: number,
    data: Uint8Array,
    at: number,
    nowSeconds: number,
    giver = LINK_MEMBER,
  ): number {
    if (this.#entries >= MAX_ENTRIES) this.#sweep(nowSeconds);
    this.#find(kind, data, at);
    if (this.#found >= 0) {
      const meta = this.#word(this.#found + META);
      const owner = linkOf(meta);
      if (this.#isBound(this.#found) && owner !== giver) return owner;
      this.#forgetLearned(meta);
      this.#setMeta(this.#found, BOUND_FLAG | (kind << 16) | link);
      return link;
    }
    if (this.#entries >= MAX_ENTRIES || this.#reusable < 0) return NO_LINK;
    this.#write(this.#reusable, link, nowSeconds, BOUND_FLAG);
    return link;
  }

  /** Takes one address from a link, if it is that link's. */
  unbind(link: number, kind: number, data: Uint8Array, at: number): void {
    this.#find(kind, data, at);
    if (this.#found >= 0 && linkOf(this.#word(this.#found + META)) === link) this.#remove(this.#found);
  }

  /** Removes all that a link learned or bound. */
  unbindLink(link: number): void {
    for (let index = 0; index < SLOTS; index++) {
      const slot = slotAt(index);
      if (this.#isUsed(slot) && linkOf(this.#word(slot + META)) === link) this.#remove(slot);
    }
  }

  #isLearnedFull(link: number): boolean {
    return (
      this.#learned >= MAX_LEARNED ||
      this.#entries >= MAX_ENTRIES ||
      (this.#learnedByLink[link] ?? 0) >= MAX_LEARNED_PER_LINK
    );
  }

  /** Removes all aged entries, at most once per interval. */
  #sweep(nowSeconds: number): void {
    if (nowSeconds - this.#sweptAt < SWEEP_INTERVAL_SECONDS) return;
    this.#sweptAt = nowSeconds;
    for (let index = 0; index < SLOTS; index++) {
      const slot = slotAt(index);
      if (this.#isUsed(slot) && this.#isAged(slot, nowSeconds)) this.#remove(slot);
    }
  }

  #find(kind: number, data: Uint8Array, at: number): void {
    const key = this.#key;
    key.set(kind, data, at);
    this.#found = -1;
    this.#reusable = -1;
    for (let step = 0; step < PROBE_WINDOW; step++) {
      const slot = slotAt((key.home + step) & (SLOTS - 1));
      const meta = this.#word(slot + META);
      if (meta === FREE || meta === TOMBSTONE) {
        if (this.#reusable < 0) this.#reusable = slot;
        if (meta === FREE) return;
      } else if (kindOf(meta) === kind && this.#holdsKey(slot)) {
        this.#found = slot;
        return;
      }
    }
  }

  #holdsKey(slot: number): boolean {
    const key = this.#key;
    return (
      this.#word(slot + KEY) === key.word0 &&
      this.#word(slot + KEY + 1) === key.word1 &&
      this.#word(slot + KEY + 2) === key.word2 &&
      this.#word(slot + KEY + 3) === key.word3
    );
  }

  /** Puts the current key into an unused slot. */
  #write(slot: number, link: number, nowSeconds: number, flags: number): void {
    const words = this.#words;
    Atomics.add(words, slot + SEQUENCE, 1);
    Atomics.store(words, slot + KEY, this.#key.word0);
    Atomics.store(words, slot + KEY + 1, this.#key.word1);
    Atomics.store(words, slot + KEY + 2, this.#key.word2);
    Atomics.store(words, slot + KEY + 3, this.#key.word3);
    Atomics.store(words, slot + SEEN_SECONDS, nowSeconds);
    Atomics.store(words, slot + META, flags | (this.#key.kind << 16) | link);
    Atomics.add(words, slot + SEQUENCE, 1);
    this.#entries++;
  }

  /**
   * Empties a used slot. Where the chain ends right behind it, it and the tombstones before it become free again: no reader
   * would have found anything past them.
   */
  #remove(slot: number): void {
    const meta = this.#word(slot + META);
    this.#entries--;
    this.#forgetLearned(meta);
    let index = (slot - slotAt(0)) / (slotAt(1) - slotAt(0));
    if (this.#word(slotAt((index + 1) & (SLOTS - 1)) + META) !== FREE) {
      this.#setMeta(slot, TOMBSTONE);
      return;
    }
    this.#setMeta(slot, FREE);
    for (;;) {
      index = (index - 1) & (SLOTS - 1);
      const before = slotAt(index);
      if (this.#word(before + META) !== TOMBSTONE) return;
      this.#setMeta(before, FREE);
    }
  }

  /** Takes an entry out of the sums of what was learned, if it is one. */
  #forgetLearned(meta: number): void {
    if ((meta & BOUND_FLAG) !== 0) return;
    const link = linkOf(meta);
    this.#learned--;
    this.#learnedByLink[link] = (this.#learnedByLink[link] ?? 1) - 1;
  }

  #setMeta(slot: number, meta: number): void {
    Atomics.add(this.#words, slot + SEQUENCE, 1);
    Atomics.store(this.#words, slot + META, meta);
    Atomics.add(this.#words, slot + SEQUENCE, 1);
  }

  #isUsed(slot: number): boolean {
    const meta = this.#word(slot + META);
    return meta !== FREE && meta !== TOMBSTONE;
  }

  #isBound(slot: number): boolean {
    return (this.#word(slot + META) & BOUND_FLAG) !== 0;
  }

  #isAged(slot: number, nowSeconds: number): boolean {
    return !this.#isBound(slot) && nowSeconds - this.#word(slot + SEEN_SECONDS) >= AGEING_SECONDS;
  }

  /** The writer is the only one that changes words, so it may read them plainly. */
  #word(index: number): number {
    return this.#words[index] ?? 0;
  }
}
