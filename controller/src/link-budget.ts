import type { Uid } from '@kith/protocol';

/** A link as far as its use matters. */
export interface LinkUse {
  uid: Uid;
  online: boolean;
  /** Milliseconds since it came online; 0 while it is not. */
  ageMs: number;
  /** Milliseconds since the last packet in either direction, as measured; null: there was none. */
  idleMs: number | null;
}

export interface BudgetRules {
  /** Links that there may be at one time. */
  max: number;
  /** Milliseconds without a packet after which a link is given up; null: never for that reason. */
  idleMs: number | null;
}

/**
 * A link that was used within this time is in use, and one that is younger has had no time to be: neither makes room for another.
 * Twice the time for which a packet waits for its link.
 */
const IN_USE_MS = 20_000;

/** How often the use of links is measured: a quarter of the idle time at most, so that no link stays much longer than it may. */
export function measureEveryMs({ idleMs }: BudgetRules): number {
  return Math.min(15_000, Math.max(250, (idleMs ?? Number.POSITIVE_INFINITY) / 4));
}

/** Whether a link may be made that a packet or the peer asks for: it may push an unused one out. Pure. */
export function hasRoomFor(uses: readonly LinkUse[], rules: BudgetRules): boolean {
  return uses.length < rules.max || uses.some((use) => use.online && unused(use) >= IN_USE_MS);
}

/** Which links are to be given up now, and why; of too many, the least used first. Pure. */
export function linksToRest(uses: readonly LinkUse[], rules: BudgetRules): { uid: Uid; reason: string }[] {
  const { idleMs } = rules;
  const online = uses.filter((use) => use.online);
  const idle = idleMs === null ? [] : online.filter((use) => unused(use) >= idleMs);
  const excess = uses.length - idle.length - rules.max;
  const crowded = online
    .filter((use) => !idle.includes(use) && unused(use) >= IN_USE_MS)
    .sort((a, b) => unused(b) - unused(a) || (a.uid < b.uid ? -1 : 1))
    .slice(0, Math.max(0, excess));
  return [
    ...idle.map(({ uid }) => ({ uid, reason: 'no packet for a while' })),
    ...crowded.map(({ uid }) => ({ uid, reason: 'the least used of too many links' })),
  ];
}

/** Nothing can have been idle for longer than it is there. */
function unused({ idleMs, ageMs }: LinkUse): number {
  return Math.min(idleMs ?? Number.POSITIVE_INFINITY, ageMs);
}
