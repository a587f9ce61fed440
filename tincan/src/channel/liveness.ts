import { idleMoment } from '@kith/base';

/**
 * How often a link's control channel is probed while the link carries data. One second gives an RTT worth showing and, with the dead time
 * below, four lost probes before a link is given up; it costs some 60 bytes per second and link.
 */
export const PING_INTERVAL_MS = 1_000;

/**
 * Silence after which a link is dead. ICE consent would take 30 s (RFC 7675 §5.1); a machine under full load stalls for a second
 * or two, and an SCTP retransmission after loss takes one.
 */
export const DEAD_AFTER_MS = 5_000;

/**
 * The same for a link that carries nothing: what nobody uses loses nothing, and each probe wakes both machines. With ten idle links, one
 * probe a second each way took half a per cent of a core.
 */
export const IDLE_PING_INTERVAL_MS = 5_000;
export const IDLE_DEAD_AFTER_MS = 16_000;

/**
 * The same for a link that carries nothing while the direct carrier hears the peer: the channel is of use only when something is to be
 * said. ICE keeps its NAT mappings alive by itself.
 */
export const CARRIED_PING_INTERVAL_MS = 60_000;
/** Two of those pings were lost, and five seconds more. */
export const CARRIED_CHANNEL_SUSPECT_AFTER_MS = 125_000;

/**
 * Silence after which another path is prepared, while this one may still come back: half a second more than the pings of a living
 * peer are apart. What is prepared in vain costs some kilobytes.
 */
export const SUSPECT_AFTER_MS = 1_500;
export const IDLE_SUSPECT_AFTER_MS = 7_500;
/** An idle path is probed each 15 s (IDLE_KEEPALIVE_MS of path-watch.ts); the answer to one that was lost comes a second later. */
export const CARRIED_SUSPECT_AFTER_MS = 17_500;

/**
 * The direct carrier went silent on an idle link: how long the channel, asked each second from then on, has to answer until another path
 * is prepared, and until the link ends, 25 s after the peer was last heard. It may be busy for seconds, and nothing is lost meanwhile.
 */
export const DOUBT_SUSPECT_AFTER_MS = 3_000;
export const DOUBT_DEAD_AFTER_MS = 7_500;

/** The same after this machine's network changed, which is a reason by itself: time for an answer to the ping that is sent then. */
export const CHANGED_SUSPECT_AFTER_MS = 400;
/** So many round trips as well; the first packet by a new way is often a little slower. */
const CHANGED_SUSPECT_ROUND_TRIPS = 3;

/** A look at the clock that comes so much later than it was to come: our own process stood still, and what came waits to be read. */
const STALL_MS = 500;

/** A channel that is silent for this long is not given up while something else is heard, but is better made anew in time. */
export const CHANNEL_SUSPECT_AFTER_MS = 8_000;

/** Pings whose answer is awaited; an older one is forgotten. */
const MAX_OUTSTANDING = 8;

/** Pure: decides when to ping and when a peer is dead, and measures the round trip. Times in milliseconds, monotonic. */
export class Liveness {
  #lastHeard: number;
  #lastPing = Number.NEGATIVE_INFINITY;
  /** Without data, and nothing speaks for asking more often. */
  #isIdle = false;
  /** Idle, and heard by the direct carrier. */
  #isCarried = false;
  /** The direct carrier went silent while the channel was pinged seldom: whether that lives is to be known soon. */
  #isDoubted = false;
  /** The silence of before does not count against a link that begins to be used. */
  #busySince: number;
  #nextId = 1;
  /** When this process last went on after it had stood still; silence of before is not the peer's. */
  #wentOnAt = Number.NEGATIVE_INFINITY;
  /** When this machine's network last changed. */
  #changedAt = Number.NEGATIVE_INFINITY;
  readonly #outstanding = new Map<number, number>();
  #rtt: number | null = null;

  constructor(now: number) {
    this.#lastHeard = now;
    this.#busySince = now;
  }

  /** Anything authenticated arrived from the peer. */
  heard(now: number): void {
    this.#lastHeard = now;
  }

  /**
   * Whether the link carries data; a few times per second, once while it does not.
   * @param elsewhere when the peer was last heard by another way than the control channel; -Infinity: never
   * @param dueAt when this call was to be
   */
  setIdle(isQuiet: boolean, now: number, elsewhere = Number.NEGATIVE_INFINITY, dueAt = now): void {
    if (now - dueAt > STALL_MS) this.#wentOnAt = now;
    const wasCarried = this.#isCarried;
    this.#isCarried = isQuiet && now - elsewhere <= CARRIED_SUSPECT_AFTER_MS;
    if (wasCarried && !this.#isCarried) this.#isDoubted = true;
    else if (!isQuiet || this.#isCarried || this.#lastHeard > this.#busySince) this.#isDoubted = false;
    const isIdle = isQuiet && !this.#isDoubted;
    if (this.#isIdle && !isIdle) this.#busySince = now;
    this.#isIdle = isIdle;
  }

  /** Whether a look each second is enough. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** This machine's network changed: the next ping is due now. */
  networkChanged(now: number): void {
    this.#changedAt = now;
    this.#lastPing = Number.NEGATIVE_INFINITY;
  }

  /** Id of the ping to send now, or undefined when none is due. */
  pingDue(now: number): number | undefined {
    if (now < this.#nextPingAt()) return undefined;
    this.#lastPing = now;
    const id = this.#nextId++ >>> 0;
    this.#outstanding.set(id, now);
    for (const oldest of this.#outstanding.keys()) {
      if (this.#outstanding.size <= MAX_OUTSTANDING) break;
      this.#outstanding.delete(oldest);
    }
    return id;
  }

  #nextPingAt(): number {
    if (!this.#isIdle) return this.#lastPing + PING_INTERVAL_MS;
    if (!this.#isCarried) return this.#lastPing + IDLE_PING_INTERVAL_MS;
    return idleMoment(this.#lastPing + CARRIED_PING_INTERVAL_MS);
  }

  pong(id: number, now: number): void {
    const sentAt = this.#outstanding.get(id);
    if (sentAt === undefined) return;
    this.#outstanding.delete(id);
    this.#rtt = now - sentAt;
  }

  isDead(now: number): boolean {
    if (this.#isIdle) return this.silence(now) > IDLE_DEAD_AFTER_MS;
    const deadAfter = this.#isDoubted ? DOUBT_DEAD_AFTER_MS : DEAD_AFTER_MS;
    return now - Math.max(this.#lastHeard, this.#busySince) > deadAfter;
  }

  /**
   * Whether the link is so silent that it may be dead.
   * @param elsewhere when the peer was last heard by another way than the control channel; -Infinity: never
   */
  isSuspect(now: number, elsewhere = Number.NEGATIVE_INFINITY): boolean {
    const idleAfter = this.#isCarried ? CARRIED_CHANNEL_SUSPECT_AFTER_MS : IDLE_DEAD_AFTER_MS;
    const channelAfter = this.#isIdle ? idleAfter : CHANNEL_SUSPECT_AFTER_MS;
    const since = this.#isIdle ? this.#wentOnAt : Math.max(this.#busySince, this.#wentOnAt);
    if (now - Math.max(this.#lastHeard, since) > channelAfter) return true;
    const heard = Math.max(this.#lastHeard, elsewhere);
    if (heard <= this.#changedAt) {
      return (
        now - this.#changedAt >
        Math.max(CHANGED_SUSPECT_AFTER_MS, CHANGED_SUSPECT_ROUND_TRIPS * (this.#rtt ?? 0))
      );
    }
    const idleSuspectAfter = this.#isCarried ? CARRIED_SUSPECT_AFTER_MS : IDLE_SUSPECT_AFTER_MS;
    const busySuspectAfter = this.#isDoubted ? DOUBT_SUSPECT_AFTER_MS : SUSPECT_AFTER_MS;
    return now - Math.max(heard, since) > (this.#isIdle ? idleSuspectAfter : busySuspectAfter);
  }

  get heardAt(): number {
    return this.#lastHeard;
  }

  /** Milliseconds since the peer was last heard. */
  silence(now: number): number {
    return now - this.#lastHeard;
  }

  /** The last measured round trip in milliseconds, or null before the first. */
  get rtt(): number | null {
    return this.#rtt;
  }
}
