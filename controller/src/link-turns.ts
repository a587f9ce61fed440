/** Attempts that a node begins at one time before it knows how fast its tincan is. */
const FIRST = 6;
const LEAST = 2;
const MOST = 32;

/** An answer of tincan's that took longer says that it has more to do than it gets done; it comes within some ms, with a silent STUN server 400. */
const SLOW_MS = 1_500;
const QUICK_MS = 700;
/** What one quick answer adds before any was slow (RFC 5681's slow start: where there is room it is found at once), and afterwards. */
const FIRST_GAIN = 1;
const GAIN = 0.25;

/**
 * How many attempts to make links a node has under way at one time. A node that joins fifty others on a machine where it gets a tenth of a
 * processor would have all fifty attempts time out, again and again; a few at a time succeed. Additive increase, multiplicative decrease
 * (as RFC 5681 §3.1), measured by how soon tincan answers. Pure; times in ms.
 */
export class LinkTurns {
  #most = FIRST;
  #cutAt = Number.NEGATIVE_INFINITY;

  /** Attempts under way beyond which this node begins no other by itself. */
  get begins(): number {
    return Math.floor(this.#most);
  }

  /** The same of attempts that a peer begins: twice as many, so that nodes that all begin at once do not all refuse each other. */
  get accepts(): number {
    return 2 * this.begins;
  }

  /** tincan has answered what it was asked to do for a link, or was given up. */
  answered(askedAt: number, now: number): void {
    const took = now - askedAt;
    if (took < QUICK_MS) {
      const gain = this.#cutAt === Number.NEGATIVE_INFINITY ? FIRST_GAIN : GAIN;
      this.#most = Math.min(this.#most + gain, MOST);
    } else if (took > SLOW_MS && askedAt > this.#cutAt) {
      // Once for all that was asked before it showed.
      this.#cutAt = now;
      this.#most = Math.max(this.#most / 2, LEAST);
    }
  }
}
