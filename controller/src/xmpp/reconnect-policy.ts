import { backoffMs } from '@kith/base';

/**
 * Why a connection ended or was not made: the network or the hub failed; the hub is not one that we may talk to (certificate, no TLS, no
 * SCRAM, no proof); it does not accept our credentials; another instance took our place.
 */
export type LossKind = 'lost' | 'untrusted' | 'refused' | 'conflict';

/** What the policy remembers from one loss to the next. */
export interface ReconnectMemory {
  /** Losses in a row without a stable session between them. */
  readonly failures: number;
  /** Refusals in a row. */
  readonly refusals: number;
  /** Conflicts without a long quiet session between them. */
  readonly conflicts: number;
}

export const FRESH_MEMORY: ReconnectMemory = { failures: 0, refusals: 0, conflicts: 0 };

/**
 * From half a second, so that a server's restart is hardly noticed, to half a minute: a link whose path dies may wait for the hub, and a
 * thousand nodes are forty tries a second for a server that comes back.
 */
const LOST = { firstMs: 500, maxMs: 30_000 };
/**
 * A session that held this long was a good one: the next loss starts again at the first wait. A shorter one does not count,
 * or a server that ends every session at once would be tried twice a second for ever.
 */
const STABLE_MS = 30_000;
/**
 * Refused credentials do not mend themselves. ejabberd's mod_fail2ban shuts an address out after 20 failures in an hour, and with it
 * every node behind the same NAT: 1 + 2 + 4 + 8 + 15 + 15 … minutes make 8 tries in the first hour and 4 in each later one.
 */
const REFUSED_FIRST_MS = 60_000;
const REFUSED_MAX_MS = 900_000;
/** An operator has to mend the hub; whoever waits for that wants it noticed within a minute, and no account is locked out by trying. */
const UNTRUSTED_MS = 60_000;
/** Two instances of one resource throw each other out; each waits longer every time, so that the fight dies down. */
const CONFLICT_FIRST_MS = 60_000;
const CONFLICT_MAX_MS = 3_600_000;
/** Longer than the longest wait: the quiet while the other instance waits its hour must not be taken for the end of the conflict. */
const CONFLICT_FORGOTTEN_MS = 2 * CONFLICT_MAX_MS;

/** 2^20 times a minute is beyond both ceilings; the bound keeps the power finite. */
function doubled(firstMs: number, maxMs: number, nth: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(nth - 1, 20));
}

/** This machine's network changed: that the hub could not be reached before says nothing any more. */
export function afterNetworkChange(memory: ReconnectMemory): ReconnectMemory {
  return { ...memory, failures: 0 };
}

/**
 * What to do after a loss: how long to wait, and what to remember.
 * @param onlineMs how long the session had been online, 0 if it never was
 */
export function afterLoss(
  memory: ReconnectMemory,
  kind: LossKind,
  onlineMs: number,
  random: () => number = Math.random,
): { memory: ReconnectMemory; waitMs: number } {
  const wasOnline = onlineMs > 0;
  const conflicts = onlineMs >= CONFLICT_FORGOTTEN_MS ? 0 : memory.conflicts;
  // Credentials that once were accepted are not those that were refused before.
  const refusals = wasOnline ? 0 : memory.refusals;
  const failures = onlineMs >= STABLE_MS ? 0 : memory.failures;
  if (kind === 'conflict') {
    const next = { failures: 0, refusals, conflicts: conflicts + 1 };
    return { memory: next, waitMs: doubled(CONFLICT_FIRST_MS, CONFLICT_MAX_MS, next.conflicts) };
  }
  if (kind === 'untrusted') {
    return { memory: { failures: 0, refusals, conflicts }, waitMs: UNTRUSTED_MS };
  }
  if (kind === 'refused') {
    const next = { failures: 0, refusals: refusals + 1, conflicts };
    return { memory: next, waitMs: doubled(REFUSED_FIRST_MS, REFUSED_MAX_MS, next.refusals) };
  }
  const next = { failures: failures + 1, refusals, conflicts };
  return { memory: next, waitMs: backoffMs(LOST, next.failures, random) };
}
