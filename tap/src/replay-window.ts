/** Counters that may lie behind the highest one and still be taken, when they have not been taken before. */
export const REPLAY_WINDOW = 8192;

const WORD_BITS = 32;
/** Words of the bitmap: a power of two, and one more than the window so that a word can be cleared ahead of its use (RFC 6479 §2). */
const WORDS = (REPLAY_WINDOW / WORD_BITS) * 2;
const WORD_MASK = WORDS - 1;
const WORD_SHIFT = Math.log2(WORD_BITS);

/** Which counters of one key have been seen: the sliding bitmap of RFC 6479, with whole words cleared when the window moves on. */
export class ReplayWindow {
  readonly #bits = new Int32Array(WORDS);
  #highest = -1;

  /** Whether a counter (an integer below 2^53) may still be taken. Changes nothing. */
  isFresh(counter: number): boolean {
    if (counter > this.#highest) return true;
    if (counter <= this.#highest - REPLAY_WINDOW) return false;
    return ((this.#bits[wordOf(counter)] ?? 0) & bitOf(counter)) === 0;
  }

  /** Takes a counter; only after the datagram that carries it was found genuine. It must be fresh. */
  commit(counter: number): void {
    const word = wordOf(counter);
    if (counter > this.#highest) {
      if (word !== wordOf(this.#highest) || counter - this.#highest >= WORD_BITS) this.#clearUpTo(counter);
      this.#highest = counter;
    }
    this.#bits[word] = (this.#bits[word] ?? 0) | bitOf(counter);
  }

  /** Clears the words that come into use: those behind the highest counter's, up to that of `counter`. */
  #clearUpTo(counter: number): void {
    const from = Math.floor(this.#highest / WORD_BITS);
    const steps = Math.floor(counter / WORD_BITS) - from;
    if (steps >= WORDS) this.#bits.fill(0);
    else for (let step = 1; step <= steps; step++) this.#bits[(from + step) & WORD_MASK] = 0;
  }
}

// Bit operations take a number modulo 2^32, of which the bitmap needs 14 bits. V8 asks the x87 unit for the remainder of two doubles (FPREM), twice per datagram.

function wordOf(counter: number): number {
  return (counter >>> WORD_SHIFT) & WORD_MASK;
}

function bitOf(counter: number): number {
  return 1 << (counter & (WORD_BITS - 1));
}
