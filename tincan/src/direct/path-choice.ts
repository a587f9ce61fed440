import type { Path } from './path.ts';

/**
 * A path replaces a working one only when it is better by this factor and by this many ms: the first round trips of a busy process
 * differ by a few ms for no reason, and nobody feels less.
 */
const BETTER_FACTOR = 0.9;
/** The same of two alike while nothing flows: nobody has anything of the better one, and round trips of a busy machine say little. */
const IDLE_BETTER_FACTOR = 0.5;
const BETTER_MS = 5;
const IDLE_BETTER_MS = 20;

/** A path without a relay is taken before any with one, however near that is: it takes nobody else's line, and rarely ends by itself. */
export function isCheaper(one: Path, other: Path): boolean {
  return one.isRelayed === other.isRelayed ? one.cost < other.cost : other.isRelayed;
}

/** Whether a path is so much better than the active one that it is worth a change. */
export function isBetter(path: Path, active: Path, isIdle: boolean): boolean {
  if (path.isRelayed !== active.isRelayed) return active.isRelayed;
  const areAlike = (path.address.via === undefined) === (active.address.via === undefined);
  if (isIdle && areAlike) return path.cost + IDLE_BETTER_MS < active.cost * IDLE_BETTER_FACTOR;
  return path.cost + BETTER_MS < active.cost * BETTER_FACTOR;
}
