import { idleMoment } from '@kith/base';
import type { Path } from './path.ts';

/** How often the active path is probed while data flows, with a small and with a full-size probe, ms. */
const KEEPALIVE_MS = 500;

/** A link without data for this long is idle: nothing is lost on a path that dies, so it is watched less closely. */
const IDLE_AFTER_MS = 5_000;

/**
 * How often the active path of an idle link is probed, with a small probe only: ten idle links must not cost a CPU's per cent. A NAT keeps
 * its mapping for 30 s at least in practice, so that one probe may be lost.
 */
export const IDLE_KEEPALIVE_MS = 15_000;

/**
 * A probe of the peer's says as much of an idle path as one of our own, but for the way to the peer. So one end asks, and the other asks by
 * itself only when that is this much late, and now and then to prove its own way.
 */
const IDLE_ASKED_MS = IDLE_KEEPALIVE_MS + 500;
const IDLE_PROVE_MS = 60_000;

/** How often the active path is probed once an answer is overdue. */
const RETRY_MS = 250;

/** A path is left only after so many probes without answer: losses come in pairs and threes, a dead path is silent throughout. */
const LEAST_UNPROVED = 3;

/**
 * A path is dead this long after its first unanswered probe, which is sent at most KEEPALIVE_MS after the path broke: 2 s in all.
 * Round trips beyond it are not worth leaving the channel for.
 */
const SILENT_DEAD_MS = 1_500;

/**
 * The same while the peer's datagrams still come: either our way to the peer is broken, or its main thread is busy. The first costs
 * packets, so it is believed a little later: 2.4 s in all.
 */
const ONE_WAY_DEAD_MS = 1_900;
const HEARD_RECENTLY_MS = 1_500;

/**
 * The last three of an idle link; each further probe waits longer by as much again. Nothing is lost on it meanwhile, the first packet ends
 * the patience, and a peer that is busy for seconds must not be made busier: of 36 nodes on two cores 14 were started anew, and with 5 s and a
 * probe each second every node sent 200 datagrams a second instead of 22 and kept all from answering in time.
 */
const IDLE_RETRY_MS = 1_000;
const IDLE_DEAD_MS = 10_000;
/** For so long after news of a change that patience ends: what is silent then is so for that reason. */
const DOUBT_MS = 5_000;

/** An answer of the active path is overdue. */
export interface Overdue {
  /** When the oldest probe was sent that nothing has proved since. */
  readonly since: number;
  /** It is to be asked again now. */
  readonly isRetry: boolean;
  /** The others are to be asked as well: all the while where data flows, once in a silence where none does. */
  readonly isSerious: boolean;
}

/**
 * Keeps the path that carries data under watch: says when it is probed, and when it has been silent for too long. Pure: times in ms on one
 * clock that never jumps back.
 */
export class PathWatch {
  readonly #isFirst: boolean;
  #keepaliveAt = 0;
  #probedAt = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #flowedAt = Number.NEGATIVE_INFINITY;
  #doubtedAt = Number.NEGATIVE_INFINITY;

  /** @param isFirst of the two ends, this is the one that asks while both are idle */
  constructor(isFirst: boolean) {
    this.#isFirst = isFirst;
  }

  /** When anything authentic was last heard of the peer, by any path; -Infinity: never. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** The active path is probed at the next look. */
  soon(now: number): void {
    this.#keepaliveAt = now;
  }

  /** The same, because one of the two ends may have moved. */
  doubt(now: number): void {
    this.#keepaliveAt = now;
    this.#doubtedAt = now;
  }

  /**
   * Another path is the active one. It is no more than looked at, unless data flows: where a hundred relayed links find their paths on a busy
   * machine, watching each closely for seconds is what keeps it busy.
   */
  activated(now: number): void {
    this.#keepaliveAt = now;
  }

  /** Data went or came. */
  flowed(now: number): void {
    // The path was not watched closely until now.
    if (this.isIdle(now)) this.#keepaliveAt = now;
    this.#flowedAt = now;
  }

  /** Anything authentic came from the peer. */
  heard(now: number): void {
    this.#heardAt = Math.max(this.#heardAt, now);
  }

  /** A probe of the peer's came by the active path. */
  asked(now: number): void {
    // What is due stays so.
    if (this.#isFirst || !this.isIdle(now) || this.#keepaliveAt <= now) return;
    const at = Math.min(now + IDLE_ASKED_MS, this.#probedAt + IDLE_PROVE_MS);
    this.#keepaliveAt = Math.max(this.#keepaliveAt, at);
  }

  /** The active path is probed now, for whatever reason. */
  probed(now: number): void {
    this.#probedAt = now;
  }

  isIdle(now: number): boolean {
    return now - this.#flowedAt > IDLE_AFTER_MS;
  }

  /** Nothing flows, and nothing is known that could have broken the path. */
  #isPatient(now: number): boolean {
    return this.isIdle(now) && now - this.#doubtedAt > DOUBT_MS;
  }

  /** Nothing flows, and nothing speaks against the active path. */
  isCalm(path: Path, now: number): boolean {
    const since = path.unprovedSince;
    return this.isIdle(now) && (since === undefined || now < since + path.graceMs);
  }

  /** The probes that the schedule wants now, if any: a small one, or one of full size as well. */
  scheduled(now: number): 'small' | 'full' | undefined {
    if (now < this.#keepaliveAt) return undefined;
    const isIdle = this.isIdle(now);
    this.#keepaliveAt = isIdle ? idleMoment(now + IDLE_KEEPALIVE_MS) : now + KEEPALIVE_MS;
    return isIdle ? 'small' : 'full';
  }

  /** Whether an answer is overdue. */
  overdue(path: Path, now: number): Overdue | undefined {
    const since = path.unprovedSince;
    // The same sum as in nextDue: with `now - since` rounding would make the two disagree about this very moment.
    if (since === undefined || now < since + path.graceMs) return undefined;
    const isRetry = now >= this.#retryAt(path, now);
    return { since, isRetry, isSerious: !this.isIdle(now) || path.unprovedCount === LEAST_UNPROVED };
  }

  #retryAt(path: Path, now: number): number {
    return this.#probedAt + (this.#isPatient(now) ? IDLE_RETRY_MS * path.unprovedCount : RETRY_MS);
  }

  /** Whether enough probes had no answer for another path to be taken. */
  mayLeave(path: Path): boolean {
    return path.unprovedCount >= LEAST_UNPROVED;
  }

  /**
   * How long a path has been silent when that is long enough to leave it for nothing; undefined: it is not yet. A peer whose control channel
   * is as silent is gone, or busy, and neither is the path's fault: where nothing flows it stays then, until the link's own end.
   */
  deadFor(since: number, channelHeardAt: number, now: number): number | undefined {
    const silence = now - since;
    if (this.#isPatient(now)) {
      return silence >= IDLE_DEAD_MS && channelHeardAt > since ? silence : undefined;
    }
    const deadAfter = now - this.#heardAt >= HEARD_RECENTLY_MS ? SILENT_DEAD_MS : ONE_WAY_DEAD_MS;
    return silence >= deadAfter ? silence : undefined;
  }

  /** When there is something to look at next. */
  nextDue(path: Path, now: number): number {
    const since = path.unprovedSince;
    if (since === undefined) return this.#keepaliveAt;
    const suspectAt = since + path.graceMs;
    if (suspectAt > now) return Math.min(this.#keepaliveAt, suspectAt);
    const isPatient = this.#isPatient(now);
    let due = Math.min(this.#keepaliveAt, this.#retryAt(path, now));
    const ends = [since + SILENT_DEAD_MS, since + ONE_WAY_DEAD_MS, this.#heardAt + HEARD_RECENTLY_MS];
    for (const at of isPatient ? [since + IDLE_DEAD_MS] : ends) {
      if (at > now) due = Math.min(due, at);
    }
    return due;
  }
}
