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

/** Pings whose answer is awaited; an older one is forgotten. */
const MAX_OUTSTANDING = 8;

/** Pure: decides when to ping and when a peer is dead, and measures the round trip. Times in milliseconds, monotonic. */
export class Liveness {
  #lastHeard: number;
  #lastPing = Number.NEGATIVE_INFINITY;
  #isIdle = false;
  /** The silence of before does not count against a link that begins to be used. */
  #busySince: number;
  #nextId = 1;
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

  /** Whether the link carries data; as often as it is known. */
  setIdle(isIdle: boolean, now: number): void {
    if (this.#isIdle && !isIdle) this.#busySince = now;
    this.#isIdle = isIdle;
  }

  /** Id of the ping to send now, or undefined when none is due. */
  pingDue(now: number): number | undefined {
    const interval = this.#isIdle ? IDLE_PING_INTERVAL_MS : PING_INTERVAL_MS;
    if (now - this.#lastPing < interval) return undefined;
    this.#lastPing = now;
    const id = this.#nextId++ >>> 0;
    this.#outstanding.set(id, now);
    for (const oldest of this.#outstanding.keys()) {
      if (this.#outstanding.size <= MAX_OUTSTANDING) break;
      this.#outstanding.delete(oldest);
    }
    return id;
  }

  pong(id: number, now: number): void {
    const sentAt = this.#outstanding.get(id);
    if (sentAt === undefined) return;
    this.#outstanding.delete(id);
    this.#rtt = now - sentAt;
  }

  isDead(now: number): boolean {
    if (this.#isIdle) return this.silence(now) > IDLE_DEAD_AFTER_MS;
    return now - Math.max(this.#lastHeard, this.#busySince) > DEAD_AFTER_MS;
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
