/** One look at a process. */
export interface Sample {
  /** Milliseconds. */
  readonly at: number;
  readonly rss_mb: number;
  readonly fds: number;
  readonly threads: number;
}

export type Resource = 'rss_mb' | 'fds' | 'threads';

/** What a process took to start is no leak: compiled code, first links, first garbage. */
export const WARM_UP_MS = 60_000;
/** Less than this says nothing about a trend. */
const SPAN_MS = 60_000;

/**
 * How much more than early a process may hold late. Links come and go while it runs, and each costs some: a data channel's sockets
 * (an ICE agent has one per link, one more with TURN) and about a megabyte; and V8 collects when it likes.
 */
const ALLOWANCE: Readonly<Record<Resource, number>> = { rss_mb: 40, fds: 12, threads: 4 };

/**
 * What a tincan with links to nine others holds at any time, however late in its life they came: the library of the data channels starts
 * its threads with the first link, and each link has sockets. Less than this is no leak.
 */
const USUAL: Readonly<Record<Resource, number>> = { rss_mb: 0, fds: 56, threads: 20 };

/** A resource of which a process holds ever more. */
export interface Leak {
  readonly resource: Resource;
  /** Most that it held in the first third, least in the last. */
  readonly early: number;
  readonly late: number;
}

/**
 * Looks for leaks: the least of the last third of the time is far above the most of the first. Peaks do not matter so, only what never
 * comes back down.
 * @param samples of one process, in order, since its start
 */
export function findLeaks(samples: readonly Sample[], startedAt: number): Leak[] {
  const warm = samples.filter(({ at }) => at - startedAt >= WARM_UP_MS);
  const [first, last] = [warm[0]?.at ?? 0, warm.at(-1)?.at ?? 0];
  if (last - first < SPAN_MS) return [];
  const third = (last - first) / 3;
  const early = warm.filter(({ at }) => at <= first + third);
  const late = warm.filter(({ at }) => at >= last - third);
  return (['rss_mb', 'fds', 'threads'] as const).flatMap((resource) => {
    const most = Math.max(USUAL[resource], ...early.map((sample) => sample[resource]));
    const least = Math.min(...late.map((sample) => sample[resource]));
    return least > most + ALLOWANCE[resource] ? [{ resource, early: most, late: least }] : [];
  });
}
