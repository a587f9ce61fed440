import { randomInt } from 'node:crypto';
import { KIND_IP4, KIND_IP6 } from './addresses.ts';

/**
 * Memory of the forwarding table: a header, then slots of 8 words of 32 bits; open addressing with linear probing.
 * One thread writes (ingress worker); others read without locks: a slot's sequence word is odd while it is being
 * written and changes with every write, so a reader that sees the same even number before and after has read one state.
 *
 * 16 384 slots of 32 bytes are 512 KiB, of which a core's cache holds the lines that are in use. At most half of them are used, so
 * that probing stays short: room for the MACs of 4096 members, for the IPv4 and IPv6 addresses of 1024 links to them, and for 2048
 * MACs learned from bridges behind those.
 */
export const SLOTS = 16_384;
export const MAX_ENTRIES = SLOTS / 2;
/** Learned MACs get a quarter of the entries: however many a link invents, a bound address always finds room. */
export const MAX_LEARNED = MAX_ENTRIES / 4;
/** One link may not fill the learned half alone. */
export const MAX_LEARNED_PER_LINK = 256;
/** A key stands within this many slots of its hash, or not at all: that bounds what a frame can cost. */
export const PROBE_WINDOW = 64;
/** IEEE 802.1D-2004 table 7-5: default ageing time of a learned address, in seconds. */
export const AGEING_SECONDS = 300;

export const SLOT_WORDS = 8;
export const SEQUENCE = 0;
/** Link in the low 16 bits, address kind above them, then the bound flag. */
export const META = 1;
export const SEEN_SECONDS = 2;
export const KEY = 3;

export const FREE = 0;
/** A removed entry inside a probe chain: a reader goes on past it, the writer may reuse it. */
export const TOMBSTONE = 0x7_0000;
export const BOUND_FLAG = 0x10_0000;
const HEADER_WORDS = SLOT_WORDS;
/** Word 0 of the header: the hash seed, secret from peers, who could otherwise choose MACs that all fall into one place. */
const SEED_WORD = 0;
/** Word 1: the layer of the network, 2 or 3, written by the main thread alone. */
const LAYER_WORD = 1;

export function createTable(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer((HEADER_WORDS + SLOTS * SLOT_WORDS) * 4);
  const words = new Int32Array(memory);
  words[SEED_WORD] = randomInt(2 ** 32);
  words[LAYER_WORD] = 2;
  return memory;
}

/** See NetworkMode; holds for the frames that the workers look at from now on. */
export function setLayer(memory: SharedArrayBuffer, layer: 2 | 3): void {
  Atomics.store(new Int32Array(memory), LAYER_WORD, layer);
}

export function isLayer3(words: Int32Array): boolean {
  return Atomics.load(words, LAYER_WORD) === 3;
}

export function slotAt(slot: number): number {
  return HEADER_WORDS + slot * SLOT_WORDS;
}

export function kindOf(meta: number): number {
  return (meta >>> 16) & 7;
}

export function linkOf(meta: number): number {
  return meta & 0xffff;
}

/** One address in the form in which slots hold it: 16 bytes as four words, short addresses padded with zero. */
export class TableKey {
  kind = 0;
  word0 = 0;
  word1 = 0;
  word2 = 0;
  word3 = 0;
  /** The slot at which probing begins. */
  home = 0;
  readonly #seed: number;

  constructor(memory: SharedArrayBuffer) {
    this.#seed = new Int32Array(memory)[SEED_WORD] ?? 0;
  }

  /** Reads the address of `kind` that stands at `at`. */
  set(kind: number, data: Uint8Array, at: number): void {
    this.kind = kind;
    this.word0 = word32(data, at);
    this.word1 = 0;
    this.word2 = 0;
    this.word3 = 0;
    if (kind === KIND_IP6) {
      this.word1 = word32(data, at + 4);
      this.word2 = word32(data, at + 8);
      this.word3 = word32(data, at + 12);
    } else if (kind !== KIND_IP4) {
      this.word1 = ((data[at + 4] ?? 0) << 8) | (data[at + 5] ?? 0);
    }
    // murmur3's mixing steps; Math.imul keeps everything in 32 bits.
    let hash = mix(this.#seed ^ kind, this.word0);
    hash = mix(hash, this.word1);
    if (kind === KIND_IP6) hash = mix(mix(hash, this.word2), this.word3);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    this.home = (hash ^ (hash >>> 16)) & (SLOTS - 1);
  }
}

function mix(hash: number, word: number): number {
  let scrambled = Math.imul(word, 0xcc9e_2d51);
  scrambled = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b87_3593);
  const mixed = hash ^ scrambled;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe654_6b64) | 0;
}

function word32(data: Uint8Array, at: number): number {
  return (
    ((data[at] ?? 0) << 24) | ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0)
  );
}
