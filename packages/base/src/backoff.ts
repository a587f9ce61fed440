/** Exponential back-off with full jitter between a floor and a ceiling; pure but for the random source, which is injected. */
export interface BackoffPolicy {
  /** Milliseconds of the first wait. */
  readonly firstMs: number;
  /** Milliseconds that no wait exceeds. */
  readonly maxMs: number;
}

/**
 * The wait before try number `failures` (1 for the first retry): doubles from `firstMs` to `maxMs`, then is drawn from its upper
 * half, so that nodes which lost the same server do not come back in one instant.
 */
export function backoffMs(
  policy: BackoffPolicy,
  failures: number,
  random: () => number = Math.random,
): number {
  // 2^30 times any sensible floor is beyond any sensible ceiling; the bound keeps the power finite.
  const ceiling = Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return ceiling / 2 + (random() * ceiling) / 2;
}
