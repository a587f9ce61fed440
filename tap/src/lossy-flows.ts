/** Flows that are told apart, a power of two. Two that meet in one place replace each other, and cost one the knowledge of its losses. */
const PLACES = 256;

/** So much is sent after a loss before it is forgotten: a stream that loses one of 10 000 packets loses one in each 14 MB. */
const REMEMBERED_BYTES = 16 * 1024 * 1024;

/** 2^32 divided by the golden ratio: neighbouring keys come to distant places (Knuth, The Art of Computer Programming, vol. 3, 6.4). */
const SPREAD = 0x9e3779b1 | 0;

/**
 * Which TCP flows repeated something not long ago, by the sequence numbers of what they send: TCP itself is the one that knows of losses
 * first. A hint only: a flow that seems to repeat (a probe of a full window, a new connection between old ports, a frame that is flooded to
 * several links) is told wrongly for a while, and so is one whose place another took. What a wrong answer costs is a few chunks more.
 */
export class LossyFlows {
  readonly #keys = new Int32Array(PLACES);
  /** Sequence number behind the last byte that was sent. */
  readonly #next = new Int32Array(PLACES);
  /** Bytes until its last loss is forgotten. */
  readonly #left = new Int32Array(PLACES);

  /**
   * Notes that a flow sends `bytes` (above zero) at a sequence number; true when it lost something not long ago.
   * @param key of the flow, any 32 bits
   * @param sequence any form of the 32 bits
   */
  note(key: number, sequence: number, bytes: number): boolean {
    const place = Math.imul(key, SPREAD) >>> 24;
    const end = (sequence + bytes) | 0;
    if (this.#keys[place] !== key) {
      this.#keys[place] = key;
      this.#next[place] = end;
      this.#left[place] = 0;
      return false;
    }
    const next = this.#next[place] ?? 0;
    // Differences in sequence space (RFC 9293 §3.4).
    if (((end - next) | 0) > 0) this.#next[place] = end;
    if (((sequence - next) | 0) < 0) {
      this.#left[place] = REMEMBERED_BYTES;
      return true;
    }
    const left = this.#left[place] ?? 0;
    if (left <= 0) return false;
    this.#left[place] = left - bytes;
    return true;
  }
}
