import {
  AGEING_SECONDS,
  BOUND_FLAG,
  FREE,
  isLayer3,
  KEY,
  kindOf,
  linkOf,
  META,
  PROBE_WINDOW,
  SEEN_SECONDS,
  SEQUENCE,
  SLOTS,
  slotAt,
  TableKey,
} from './table-layout.ts';

/** No link owns the address. */
export const NO_LINK = -1;

/**
 * How often a slot is read again while it is being written. A write takes tens of nanoseconds, unless the writer loses its CPU
 * in the middle: then the address counts as unknown for this one frame, rather than this thread spinning for a time slice.
 */
const MAX_RETRIES = 100;

/** Looks up the forwarding table from any thread, without locks. */
export class TableReader {
  readonly #words: Int32Array;
  readonly #key: TableKey;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#key = new TableKey(memory);
  }

  /** Whether the network is one of layer 3. */
  get isLayer3(): boolean {
    return isLayer3(this.#words);
  }

  /** The link (or LINK_SELF, LINK_MEMBER) that owns the address of `kind` at `at`, or NO_LINK. `nowSeconds` is of threadClock. */
  lookup(kind: number, data: Uint8Array, at: number, nowSeconds: number): number {
    this.#key.set(kind, data, at);
    for (let step = 0; step < PROBE_WINDOW; step++) {
      const meta = this.#metaIfMatch(slotAt((this.#key.home + step) & (SLOTS - 1)), nowSeconds);
      if (meta === FREE) return NO_LINK;
      if (meta !== NO_LINK) return linkOf(meta);
    }
    return NO_LINK;
  }

  /**
   * The slot's meta word when it holds the key, FREE when the probe chain ends here, NO_LINK when it holds something else.
   * All fields are read by Atomics: only so do the reads stay between the two reads of the sequence on every CPU.
   */
  #metaIfMatch(slot: number, nowSeconds: number): number {
    const words = this.#words;
    const key = this.#key;
    for (let tries = 0; tries < MAX_RETRIES; tries++) {
      const sequence = Atomics.load(words, slot + SEQUENCE);
      if ((sequence & 1) !== 0) continue;
      const meta = Atomics.load(words, slot + META);
      const isMatch =
        kindOf(meta) === key.kind &&
        Atomics.load(words, slot + KEY) === key.word0 &&
        Atomics.load(words, slot + KEY + 1) === key.word1 &&
        Atomics.load(words, slot + KEY + 2) === key.word2 &&
        Atomics.load(words, slot + KEY + 3) === key.word3;
      const seen = Atomics.load(words, slot + SEEN_SECONDS);
      if (Atomics.load(words, slot + SEQUENCE) !== sequence) continue;
      if (meta === FREE) return FREE;
      if (!isMatch) return NO_LINK;
      return (meta & BOUND_FLAG) !== 0 || nowSeconds - seen < AGEING_SECONDS ? meta : NO_LINK;
    }
    return NO_LINK;
  }
}
