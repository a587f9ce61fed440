/** How long a pair looks for a direct path before the end with the smaller UID asks its TURN servers: what works on one continent has answered. */
const FIRST_AFTER_MS = 800;

/**
 * The other end asks a little later: one allocation joins the two, and the second gives each end the peer's relayed address to send
 * to, which servers take in at several times the speed of ChannelData.
 */
const SECOND_AFTER_MS = 2_500;

/**
 * A link comes up within a second of the peer's answer, by a relay too, or two where a ClientHello was lost. One that took longer is between
 * busy machines: a path that has not answered yet says little then, and a relay is more to do. Such a pair looks for twice that time longer,
 * and any other for as much longer as this machine is slower; the second of these at most, and none of it while data flows.
 */
const BUSY_AFTER_MS = 2_000;
const MOST_AFTER_MS = 10_000;

/**
 * A link that lost its direct path while nothing flows has time: what it lost may be no more than the patience of a busy machine, and the
 * control channel carries the first packet, which ends this.
 */
const IDLE_AFTER_MS = 20_000;

/** A direct path that lasted so long is believed, and the relay given back. */
const KEEP_MS = 30_000;

export interface NeedOptions {
  /** This end asks before the other. */
  isFirst: boolean;
  /** How long the link took to come up once the peer's addresses were known. */
  tookMs: number;
  /** Of this machine, see slowdown.ts. */
  slowdown: number;
}

/** Decides when a link wants an address at a TURN server. Pure; times in ms. */
export class RelayNeed {
  readonly #after: number;
  /** Added to it while nothing flows. */
  readonly #busyMs: number;
  #isDirect = false;
  #wasDirect = false;
  #isIdle = true;
  #since: number;
  #wants = false;

  constructor({ isFirst, tookMs, slowdown }: NeedOptions, now: number) {
    const busyMs = tookMs > BUSY_AFTER_MS ? 2 * tookMs : FIRST_AFTER_MS * (slowdown - 1);
    this.#busyMs = Math.min(busyMs, MOST_AFTER_MS);
    this.#after = isFirst ? FIRST_AFTER_MS : SECOND_AFTER_MS;
    this.#since = now;
  }

  /** Whether a relay is wanted now; `isDirect`: a path without any is in use; `isIdle`: nothing flows. */
  update(isDirect: boolean, isIdle: boolean, now: number): boolean {
    if (isDirect !== this.#isDirect) this.#since = now;
    this.#isDirect = isDirect;
    this.#wasDirect ||= isDirect;
    this.#isIdle = isIdle;
    if (now >= this.dueAt) this.#wants = !isDirect;
    return this.#wants;
  }

  /** When `update` may say something else by the clock alone. */
  get dueAt(): number {
    if (this.#wants !== this.#isDirect) return Number.POSITIVE_INFINITY;
    if (this.#wants) return this.#since + KEEP_MS;
    if (!this.#isIdle) return this.#since + this.#after;
    return this.#since + (this.#wasDirect ? IDLE_AFTER_MS : this.#after + this.#busyMs);
  }
}
