import { readFileSync } from 'node:fs';
import os from 'node:os';
import { type Figures, JSON_METRICS, METRICS, type Metric } from './metrics.ts';
import type { SystemName } from './options.mjs';
import { type Spread, spread } from './statistics.ts';

/** What a system did in all rounds. */
export interface SystemResult {
  readonly name: SystemName;
  readonly spreads: Partial<Record<Metric, Spread>>;
  /** Errors, each once. A system without any spread did not run at all. */
  readonly problems: readonly string[];
}

export interface Machine {
  cpu: string;
  cores: number;
  kernel: string;
  node: string;
}

/** The machine that runs this. */
export function thisMachine(): Machine {
  const name = /^model name\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
  const cores = os.availableParallelism();
  return { cpu: name ?? os.arch(), cores, kernel: os.release(), node: process.versions.node };
}

/** The machine in one line. */
export function describeMachine({ cpu, cores, kernel, node }: Machine): string {
  return `${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}`;
}

/** Gathers the rounds of every system. */
export class Results {
  readonly #rounds = new Map<SystemName, { figures: Figures[]; problems: Set<string> }>();

  add(name: SystemName, figures: Figures, problems: readonly string[]): void {
    const known = this.#rounds.get(name) ?? { figures: [], problems: new Set() };
    this.#rounds.set(name, known);
    known.figures.push(figures);
    for (const problem of problems) known.problems.add(problem);
  }

  /** Every system that was given a turn, in that order. */
  systems(): SystemResult[] {
    return [...this.#rounds].map(([name, { figures, problems }]) => {
      const spreads: Partial<Record<Metric, Spread>> = {};
      for (const { key } of METRICS) {
        const values = figures.map((round) => round[key]).filter((value) => value !== undefined);
        if (values.length > 0) spreads[key] = spread(values);
      }
      return { name, spreads, problems: [...problems] };
    });
  }
}

/** The JSON form. Systems without figures are left out; numbers keep four significant digits or all digits before the point. */
export function resultDocument(
  machine: Machine,
  rounds: number,
  systems: readonly SystemResult[],
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const entries = systems.flatMap(({ name, spreads }) => {
    const figures = JSON_METRICS.flatMap((key) => {
      const found = spreads[key];
      return found === undefined ? [] : [[key, rounded(found)] as const];
    });
    return figures.length === 0 ? [] : [[name, Object.fromEntries(figures)] as const];
  });
  return { machine, rounds, ...more, systems: Object.fromEntries(entries) };
}

function rounded({ median, min, max }: Spread): Spread {
  return { median: short(median), min: short(min), max: short(max) };
}

function short(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
}
