import { type BackoffPolicy, backoffMs } from '@kith/base';

/**
 * A mapping is asked for again this often, well before it ends: a router that was restarted has forgotten it, and one datagram or two
 * each time cost nothing.
 */
const RENEW_MS = 600_000;

/** Routers may give less time than they were asked for; RFC 6887 §11.2.1 halves it, and nobody is asked more often than this. */
const LEAST_RENEW_MS = 30_000;

/** Where no router maps ports, none will soon: from a minute to an hour. */
const SEARCH_AGAIN: BackoffPolicy = { firstMs: 60_000, maxMs: 3_600_000 };

/** A router that gave a mapping and does not answer now may be restarting. */
const RENEW_AGAIN: BackoffPolicy = { firstMs: 15_000, maxMs: 300_000 };

/** When a router is asked next. Pure; times in ms. */
export class MappingSchedule {
  #dueAt = Number.POSITIVE_INFINITY;
  #endsAt = Number.NEGATIVE_INFINITY;
  #failures = 0;

  get dueAt(): number {
    return this.#dueAt;
  }

  /** Nothing is known of the network any more: ask at once, or not at all where there is nobody to ask. */
  restart(now: number, hasRouter: boolean): void {
    this.#failures = 0;
    this.#endsAt = Number.NEGATIVE_INFINITY;
    this.#dueAt = hasRouter ? now : Number.POSITIVE_INFINITY;
  }

  mapped(lifetimeMs: number, now: number): void {
    this.#failures = 0;
    this.#endsAt = now + lifetimeMs;
    this.#dueAt = now + Math.max(LEAST_RENEW_MS, Math.min(RENEW_MS, lifetimeMs / 2));
  }

  /** There is no mapping, or none of any use. `random`: 0 ≤ x < 1 */
  failed(now: number, random: () => number): void {
    const policy = this.isAlive(now) ? RENEW_AGAIN : SEARCH_AGAIN;
    this.#dueAt = now + backoffMs(policy, ++this.#failures, random);
  }

  /** Whether the router has promised to keep the last mapping until now. */
  isAlive(now: number): boolean {
    return now < this.#endsAt;
  }
}
