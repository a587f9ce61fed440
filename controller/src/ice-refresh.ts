/** Services without credentials, or with such as live longer, are asked for this often: their addresses may change. */
const MAX_MS = 3_600_000;

/** However short the credentials live, the hub is not asked more often. */
const MIN_MS = 10_000;

/**
 * Where the clocks of hub and node disagree, credentials seem to be over when they come; they are not, but nothing says how long they
 * live. ejabberd gives them 12 hours by default, other servers an hour or less.
 */
const UNKNOWN_MS = 300_000;

/** What is left of the credentials' life when new ones are asked for: a link that begins needs them for a minute at most. */
const SPARE = 1 / 3;

const RETRY_MS = 15_000;
const MAX_RETRY_MS = 300_000;

/** When to ask the hub again after its answer; `now` and `expires` in milliseconds since the epoch. */
export function afterAnswerMs(services: readonly { expires?: number }[], now: number): number {
  const ends = services.flatMap(({ expires }) => (expires === undefined ? [] : [expires]));
  if (ends.length === 0) return MAX_MS;
  const left = Math.min(...ends) - now;
  if (left <= 0) return UNKNOWN_MS;
  return Math.min(Math.max(left * (1 - SPARE), MIN_MS), MAX_MS);
}

/** When to ask again after `failures` questions in a row without a good answer. */
export function afterFailureMs(failures: number): number {
  return Math.min(RETRY_MS * 2 ** Math.min(failures - 1, 10), MAX_RETRY_MS);
}
