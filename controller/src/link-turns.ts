import type { Uid } from '@kith/protocol';

/** Attempts that a node begins at one time before it knows how fast its tincan is: as many as a circle of friends needs at a start. */
const FIRST = 6;
/** With one alone, a peer that cannot be reached would hold up all others for the 15 s of its attempt. */
const LEAST = 2;
/** A roster may name two thousand nodes; so many attempts keep tincan busy on the fastest machine, and more only take memory. */
const MOST = 32;

/** An answer of tincan's that took longer says that it has more to do than it gets done; it comes within some ms, with a silent STUN server 400. */
const SLOW_MS = 1_500;
/** One that was quicker says that it has time for more. With 700 ms a mesh on two cores, under otherwise older rules, broke down at forty nodes. */
const QUICK_MS = 250;
/** What one quick answer adds before any was slow (RFC 5681's slow start: where there is room it is found at once), and afterwards. */
const FIRST_GAIN = 1;
const GAIN = 0.25;

/**
 * Who comes into a crowd begins the links to all by itself, in its own time: all others would ask it at once, and most be put off, each for
 * the price of a link's beginning (in a mesh of fifty on two cores, 668 for 1 100 links). Whom it accepts at once it may be asked by.
 */
const CROWD = 2 * FIRST;
/** How long it has for that: a node of fifty on a busy machine needs some ten seconds. Drawn up to twice that, since nobody knows why it did not. */
const NEWCOMER_MS = 10_000;

/**
 * How long a node that comes now is waited for to begin its link by itself, ms: no time at all in a small circle, or where this node itself
 * has links to less than half of those that are there, and so is the one that came.
 * @param linked nodes to which there is a link
 * @param present nodes that are signed in at the hub
 * @param random 0 ≤ random < 1
 */
export function newcomersTime(linked: number, present: number, random: number): number {
  return linked > CROWD && 2 * linked > present ? NEWCOMER_MS * (1 + random) : 0;
}

/**
 * Whose turn it is to be linked, and how many attempts a node has under way at one time. A node that joins fifty others on a machine where
 * it gets a tenth of a processor would have all fifty attempts time out, again and again; a few at a time succeed. Additive increase,
 * multiplicative decrease (as RFC 5681 §3.1), measured by how soon tincan answers. Pure; times in ms.
 */
export class LinkTurns {
  /** In the order in which they came, each with the time before which it is not begun. */
  readonly #waiting = new Map<Uid, number>();
  #most = FIRST;
  #cutAt = Number.NEGATIVE_INFINITY;

  /** Whether this node may begin another attempt of its own beside so many. */
  mayBegin(underWay: number): boolean {
    return underWay < Math.floor(this.#most);
  }

  /** The same of one that a peer begins: twice as many, so that nodes that all begin at once do not all refuse each other. */
  mayAccept(underWay: number): boolean {
    return underWay < 2 * Math.floor(this.#most);
  }

  /** The node is to be linked when its turn comes, not before `from`; it keeps the place that it has, and an earlier time. */
  wait(uid: Uid, from: number): void {
    this.#waiting.set(uid, Math.min(from, this.#waiting.get(uid) ?? from));
  }

  leave(uid: Uid): void {
    this.#waiting.delete(uid);
  }

  /** Takes the node whose turn it is; undefined: nobody waits, or there is no room. */
  next(underWay: number, now: number): Uid | undefined {
    if (!this.mayBegin(underWay)) return undefined;
    for (const [uid, from] of this.#waiting) {
      if (from > now) continue;
      this.#waiting.delete(uid);
      return uid;
    }
    return undefined;
  }

  /** When the first of those who wait for a time may be begun; Infinity: nobody does. */
  nextAt(): number {
    return Math.min(...this.#waiting.values());
  }

  /** tincan has done, or refused, what it was asked to do for a link. */
  answered(askedAt: number, now: number): void {
    if (now - askedAt >= QUICK_MS) {
      this.#slow(askedAt, now);
      return;
    }
    const gain = this.#cutAt === Number.NEGATIVE_INFINITY ? FIRST_GAIN : GAIN;
    this.#most = Math.min(this.#most + gain, MOST);
  }

  /** It was given up. One that is not there at all is so at once, which says nothing. */
  unanswered(askedAt: number, now: number): void {
    this.#slow(askedAt, now);
  }

  #slow(askedAt: number, now: number): void {
    // Once for all that was asked before it showed.
    if (now - askedAt <= SLOW_MS || askedAt <= this.#cutAt) return;
    this.#cutAt = now;
    this.#most = Math.max(this.#most / 2, LEAST);
  }
}
