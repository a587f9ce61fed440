/**
 * How much later than by UDP a relay is asked for by a stream, where nothing is known. A stream needs a round trip more, and a TLS
 * stream two, so that UDP is first wherever it works and its first datagram is not lost; it costs one request to a server when it is
 * not. What waits longer is missing from the two seconds in which a relayed pair shall answer its first ping.
 */
const UNKNOWN_GRACE_MS = 150;

/** The same where UDP worked lately: a lost request is repeated after half a second (RFC 8489 §6.2.1). */
const WORKED_GRACE_MS = 700;

/** What was learned of a network holds for this long; a machine that moved learns anew with its first link. */
const MEMORY_MS = 600_000;

/** Servers whose rank is kept. */
const MAX_SERVERS = 64;

/** What earlier links found out about the ways to relays. Pure; times in ms. */
export class RelayMemory {
  #udpWorkedAt = Number.NEGATIVE_INFINITY;
  #streamWorkedAt = Number.NEGATIVE_INFINITY;
  /** Servers by the time of their last success, the latest last. */
  readonly #worked = new Set<string>();

  udpWorked(now: number): void {
    this.#udpWorkedAt = now;
  }

  /** A server was used by a stream: UDP did not get through in its time. */
  streamWorked(server: string, now: number): void {
    this.#streamWorkedAt = now;
    this.#worked.delete(server);
    this.#worked.add(server);
    for (const oldest of this.#worked) {
      if (this.#worked.size <= MAX_SERVERS) break;
      this.#worked.delete(oldest);
    }
  }

  /** What a relay leaves to UDP before it opens a stream. */
  graceMs(now: number): number {
    const last = Math.max(this.#udpWorkedAt, this.#streamWorkedAt);
    if (now - last > MEMORY_MS) return UNKNOWN_GRACE_MS;
    return this.#udpWorkedAt >= this.#streamWorkedAt ? WORKED_GRACE_MS : 0;
  }

  /** For sorting: servers that worked before others, the latest first. */
  rank(server: string): number {
    const index = [...this.#worked].indexOf(server);
    return index < 0 ? 0 : -1 - index;
  }
}
