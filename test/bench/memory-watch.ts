import { Timers } from '@kith/base';
import { rounded, say } from './bench.ts';
import { type NodeProcess, usageOfEach } from './node-processes.ts';

/** Memory of some processes over time, in megabytes of VmRSS. */
export class MemoryWatch {
  readonly #processes: readonly NodeProcess[];
  readonly #timers = new Timers();
  readonly #startedAt = performance.now();
  readonly samples: { second: number; rss_mb: number[] }[] = [];

  /** Takes a sample now and every `intervalMs`, and prints each. */
  constructor(processes: readonly NodeProcess[], intervalMs: number) {
    this.#processes = processes;
    say(`RSS in MB of ${processes.map(({ name }) => name).join(', ')}`);
    void this.#sample();
    this.#timers.every('sample', intervalMs, () => void this.#sample());
  }

  stop(): void {
    this.#timers.clearAll();
  }

  async #sample(): Promise<void> {
    const second = Math.round((performance.now() - this.#startedAt) / 1000);
    const rss = (await usageOfEach(this.#processes)).map(({ rssMegabytes }) => rounded(rssMegabytes));
    this.samples.push({ second, rss_mb: rss });
    say(`${String(second).padStart(5)} s  ${rss.map((value) => String(value).padStart(6)).join(' ')}`);
  }

  /** Per process: memory at `fromSecond`, at the end, and the extremes between. */
  drift(fromSecond: number): Record<string, { first: number; last: number; min: number; max: number }> {
    const later = this.samples.filter(({ second }) => second >= fromSecond);
    return Object.fromEntries(
      this.#processes.map(({ name }, index) => {
        const values = later.map(({ rss_mb }) => rss_mb[index] ?? Number.NaN);
        const [first, last] = [values[0] ?? Number.NaN, values.at(-1) ?? Number.NaN];
        return [name, { first, last, min: Math.min(...values), max: Math.max(...values) }];
      }),
    );
  }
}
