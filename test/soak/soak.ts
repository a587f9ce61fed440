import { setTimeout as pause } from 'node:timers/promises';
import { describeError, monotonicMs } from '@kith/base';
import type { Lab } from '../lab/index.ts';
import { SoakModel } from './model.ts';
import { latecomers, makePlan, type PlanOptions } from './plan.ts';
import { describeStep, nodeName, type PlannedStep } from './steps.ts';
import { RingTraffic } from './traffic.ts';
import { type Coverage, type Violation, Watcher } from './watcher.ts';
import { SoakWorld } from './world.ts';

export interface SoakResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly steps: number;
  readonly coverage: Coverage;
  readonly resources: ReturnType<Watcher['resources']>;
}

const LOOK_EVERY_MS = 1_000;
/** More would only say the same again. */
const MAX_VIOLATIONS = 10;
/** Steps told with a violation. */
const HISTORY = 12;
const LOG_LINES = 40;

/** Builds nodes in the lab, lets the seed's plan loose on them, and looks every second whether all is as it must be. */
export async function soak(lab: Lab, options: PlanOptions, say: (line: string) => void): Promise<SoakResult> {
  const late = latecomers(options.nodes);
  const plan = makePlan(options);
  say(`seed ${options.seed}: ${options.nodes} nodes, ${options.minutes} min, ${plan.length} steps`);
  for (const { atMs, step } of plan)
    say(`  ${(atMs / 1000).toFixed(1).padStart(7)} s  ${describeStep(step)}`);
  const world = await SoakWorld.create(lab, options.nodes, late);
  const run = new Run(world, plan, options, say);
  const traffic = new RingTraffic(world.nodes);
  try {
    return await run.whole();
  } finally {
    traffic.stop();
  }
}

class Run {
  readonly #world: SoakWorld;
  readonly #plan: readonly PlannedStep[];
  readonly #options: PlanOptions;
  readonly #say: (line: string) => void;
  readonly #model: SoakModel;
  readonly #watcher: Watcher;
  readonly #startedAt = monotonicMs();
  readonly #history: string[] = [];
  readonly #told = new Map<string, string>();
  #over = false;

  constructor(
    world: SoakWorld,
    plan: readonly PlannedStep[],
    options: PlanOptions,
    say: (line: string) => void,
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#options = options;
    this.#say = say;
    const late = latecomers(options.nodes);
    const states = world.nodes.map((_, index) => ({
      ...{ running: !late.includes(index), member: !late.includes(index) },
    }));
    this.#model = new SoakModel(states, this.#startedAt);
    this.#watcher = new Watcher(world, this.#model);
  }

  async whole(): Promise<SoakResult> {
    const steps = this.#steps();
    const watching = this.#watch();
    await Promise.all([steps, watching]);
    return {
      ...{ seed: this.#options.seed, violations: [...this.#told.values()], steps: this.#plan.length },
      ...{ coverage: this.#watcher.coverage, resources: this.#watcher.resources() },
    };
  }

  async #steps(): Promise<void> {
    for (const { atMs, step } of this.#plan) {
      await this.#pauseUntil(this.#startedAt + atMs);
      if (this.#over) return;
      const words = describeStep(step);
      this.#event(words);
      this.#model.begin(step, monotonicMs());
      try {
        await this.#world.perform(step);
      } catch (error) {
        await this.#tell({
          ...{ key: `step ${words}`, text: `${words} failed: ${describeError(error)}` },
          nodes: 'node' in step ? [step.node] : [],
        });
      }
      this.#model.done(step, monotonicMs());
      this.#event(`${words}: done`);
    }
    await this.#pauseUntil(this.#startedAt + this.#options.minutes * 60_000);
    this.#over = true;
  }

  async #watch(): Promise<void> {
    while (!this.#over) {
      const next = monotonicMs() + LOOK_EVERY_MS;
      for (const violation of await this.#watcher.look()) await this.#tell(violation);
      if (this.#told.size >= MAX_VIOLATIONS) this.#over = true;
      await this.#pauseUntil(next);
    }
  }

  /** Ends early when the run does. */
  async #pauseUntil(at: number): Promise<void> {
    while (!this.#over && monotonicMs() < at) await pause(Math.min(at - monotonicMs(), LOOK_EVERY_MS));
  }

  #event(words: string): void {
    const line = `${this.#time()}  ${words}`;
    this.#history.push(line);
    if (this.#history.length > HISTORY) this.#history.shift();
    this.#say(line);
  }

  #time(): string {
    return `${((monotonicMs() - this.#startedAt) / 1000).toFixed(1).padStart(7)} s`;
  }

  async #tell({ key, text, nodes }: Violation): Promise<void> {
    if (this.#told.has(key)) return;
    this.#told.set(key, text);
    this.#say(`\nVIOLATION, seed ${this.#options.seed}, ${this.#time().trim()}: ${text}`);
    this.#say(`before it:\n${this.#history.join('\n')}`);
    for (const index of nodes)
      this.#say(`${nodeName(index)}:\n${await this.#world.node(index).logTail(LOG_LINES)}`);
    this.#say(await this.#world.hubLogTail(10));
  }
}
