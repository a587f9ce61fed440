/** A piece of work that needs some things for itself. */
export interface Job<T> {
  /** Names of what no other job may use meanwhile. */
  needs: readonly string[];
  run(): Promise<T>;
}

/** Runs jobs, `width` at once, in their order as far as what they need is free. Results come in the order of the jobs. */
export async function runJobs<T>(jobs: readonly Job<T>[], width: number): Promise<T[]> {
  const waiting = [...jobs.entries()];
  const results = new Map<number, T>();
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  while (waiting.length > 0 || running.size > 0) {
    const index = waiting.findIndex(([, job]) => !job.needs.some((name) => busy.has(name)));
    if (running.size >= width || index < 0) {
      await Promise.race(running);
      continue;
    }
    for (const [number, job] of waiting.splice(index, 1)) {
      for (const name of job.needs) busy.add(name);
      const done = job.run().then((result) => {
        results.set(number, result);
        for (const name of job.needs) busy.delete(name);
        running.delete(done);
      });
      running.add(done);
    }
  }
  return [...results.entries()].sort(([one], [other]) => one - other).map(([, result]) => result);
}

/** Lets works run one after another. One that fails does not stop the next. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };
}
