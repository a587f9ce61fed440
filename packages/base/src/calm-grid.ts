/**
 * What is due on an idle link waits for the next whole second of the clock, which all links share: a process that is woken once for ten
 * links does in the same time what it would do for one.
 */
const CALM_GRID_MS = 1_000;

/**
 * What idle links repeat in many seconds falls on whole multiples of this, as the beats of the processes do. Coarser, all that fifty nodes of
 * one machine ask in a minute would come at once.
 */
const IDLE_GRID_MS = 5_000;

/** The first moment of the grid that is not before `at`. Milliseconds. */
export function calmMoment(at: number): number {
  return Math.ceil(at / CALM_GRID_MS) * CALM_GRID_MS;
}

/**
 * The last multiple of `grid` that is not after `at`: what each link of a process repeats in about that time, all of them do at the same
 * moment then. The answers come together as well, and each finds warm what the one before it needed. Milliseconds.
 */
function gridMoment(at: number, grid: number): number {
  return Math.floor(at / grid) * grid;
}

/** The last moment that is not after `at` of those at which idle links repeat what they do seldom. Milliseconds. */
export function idleMoment(at: number): number {
  return gridMoment(at, IDLE_GRID_MS);
}

/**
 * Node counts the time of a timer from the beginning of the event loop's turn that sets it: it fires too early by what that turn had taken by
 * then.
 */
export const EARLY_MS = 50;

/** The first multiple of `grid` after `now`; a timer that fires too early does not take the multiple again that it was set for. */
export function nextGridMoment(now: number, grid: number): number {
  return gridMoment(now + grid + Math.min(EARLY_MS, grid / 10), grid);
}
