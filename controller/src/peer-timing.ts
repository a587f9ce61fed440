import type { BackoffPolicy } from '@kith/base';

/** How long one attempt may take. Slow TURN allocations and a lost DTLS flight or two fit; beyond it a fresh attempt does better. */
export const ATTEMPT_TIMEOUT_MS = 15_000;

/** Retries of a peer that cannot be reached. */
export const RETRY: BackoffPolicy = { firstMs: 500, maxMs: 60_000 };

/** A link that lived this long was good: its loss is news, and the next attempt starts at once. */
export const STABLE_AFTER_MS = 10_000;

/** A local description comes within milliseconds; when none did, the notification was lost and is asked for again. */
export const DESCRIPTION_RETRY_MS = 1_000;

/**
 * How long a packet for the node makes its link wanted: two attempts. An application that goes on sending wants it anew each second;
 * one that gave up should not have a link made for it.
 */
export const WANTED_MS = 2 * ATTEMPT_TIMEOUT_MS;

/**
 * Begins the reason of a link's end when it was given up for want of use. The other end's control channel brings it to its controller,
 * which then does not begin anew of itself.
 */
export const RESTING = 'resting: ';
