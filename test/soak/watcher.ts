import { readFile } from 'node:fs/promises';
import { monotonicMs } from '@kith/base';
import type { StatusReport } from '@kith/protocol';
import { type KithNode, OVERLAY_INTERFACE } from '../lab/index.ts';
import { CARRIED_MS } from './bounds.ts';
import { type CardCounters, type CounterSample, cardCounters, counterProblems } from './counters-check.ts';
import { FlowWatch } from './flow-watch.ts';
import { LogWatch } from './log-watch.ts';
import type { SoakModel } from './model.ts';
import { isSame, type NodeProcess, processesOn, sampleOf } from './process-table.ts';
import { nodeName } from './steps.ts';
import { ringNeighbour } from './traffic.ts';
import { findLeaks, type Sample } from './trend.ts';
import type { SoakWorld } from './world.ts';

/** Something that must not be. */
export interface Violation {
  /** The same key is the same trouble: it is told once. */
  readonly key: string;
  readonly text: string;
  /** Nodes whose logs tell more. */
  readonly nodes: readonly number[];
}

/** What was checked, so that a run in which nothing could be checked does not look like one in which all was well. */
export interface Coverage {
  looks: number;
  pairs_online: number;
  pairs_apart: number;
  pairs_open: number;
  counter_checks: number;
  /** Looks at which what came over a ring's link was compared with what had come before. */
  flows_checked: number;
  longest_look_ms: number;
}

interface Watched {
  readonly node: KithNode;
  readonly log: LogWatch;
  processes: readonly NodeProcess[];
  counters: CounterSample | undefined;
  /** What came over the link that its pings are sent by. */
  readonly flow: FlowWatch;
}

interface ProcessHistory {
  readonly label: string;
  readonly node: number;
  readonly firstAt: number;
  readonly samples: Sample[];
}

/** Samples of one process; of an hour of looks every second one in six is kept. */
const MAX_SAMPLES = 1_200;
/** Once in so many looks the processes are measured: leaks are slow. */
const MEASURE_EVERY = 3;

/** Looks at everything once a second and says what must not be. */
export class Watcher {
  readonly coverage: Coverage = {
    ...{
      looks: 0,
      pairs_online: 0,
      pairs_apart: 0,
      pairs_open: 0,
      counter_checks: 0,
      flows_checked: 0,
      longest_look_ms: 0,
    },
  };
  readonly #world: SoakWorld;
  readonly #model: SoakModel;
  readonly #watched: readonly Watched[];
  /** By pid and start time. */
  readonly #histories = new Map<string, ProcessHistory>();

  constructor(world: SoakWorld, model: SoakModel) {
    this.#world = world;
    this.#model = model;
    this.#watched = world.nodes.map((node) => ({
      ...{ node, log: new LogWatch(node.logFile), processes: [], counters: undefined, flow: new FlowWatch() },
    }));
  }

  async look(): Promise<Violation[]> {
    const began = monotonicMs();
    const found = await Promise.all(this.#watched.map((watched, index) => this.#lookAt(watched, index)));
    this.coverage.looks++;
    this.coverage.longest_look_ms = Math.max(
      this.coverage.longest_look_ms,
      Math.round(monotonicMs() - began),
    );
    return found.flat();
  }

  /** What each process held at first (warm) and last. */
  resources(): { process: string; seconds: number; first: Sample | undefined; last: Sample | undefined }[] {
    return [...this.#histories.values()].map(({ label, samples, firstAt }) => ({
      process: label,
      seconds: Math.round(((samples.at(-1)?.at ?? firstAt) - firstAt) / 1000),
      first: samples[0],
      last: samples.at(-1),
    }));
  }

  get warnings(): number {
    return this.#watched.reduce((sum, { log }) => sum + log.counters.warnings, 0);
  }

  async #lookAt(watched: Watched, index: number): Promise<Violation[]> {
    const [links, ended, errors] = await Promise.all([
      this.#status(watched, index),
      this.#processes(watched, index),
      watched.log.unexpected(),
    ]);
    const logged = errors.map((line) => ({
      ...{
        key: `log ${index} ${line.slice(-60)}`,
        text: `${nodeName(index)} logged: ${line}`,
        nodes: [index],
      },
    }));
    return [...links, ...ended, ...logged];
  }

  async #status(watched: Watched, index: number): Promise<Violation[]> {
    const asked = monotonicMs();
    const before = await this.#card(watched);
    let status: StatusReport;
    try {
      status = await watched.node.status();
    } catch (error) {
      watched.counters = undefined;
      // Both before and after: a step may have begun while the question was under way.
      if (!this.#model.mustAnswer(index, asked) || !this.#model.mustAnswer(index, monotonicMs())) return [];
      const text = `the controller of ${nodeName(index)} does not answer: ${String(error)}`;
      return [{ key: `answer ${index}`, text, nodes: [index] }];
    }
    const after = await this.#card(watched);
    return [
      ...this.#counters(watched, index, status, before, after),
      ...this.#links(status, index, asked),
      ...this.#flow(watched, status, index, asked),
    ];
  }

  #links(status: StatusReport, index: number, asked: number): Violation[] {
    const found: Violation[] = [];
    for (let other = 0; other < this.#watched.length; other++) {
      if (other === index || !this.#model.isRunning(index)) continue;
      const expected = this.#model.pair(index, other, asked);
      // What changed while the answer was under way is not held against it.
      const still = this.#model.pair(index, other, monotonicMs());
      if (expected === 'open' || still !== expected) {
        this.coverage.pairs_open++;
        continue;
      }
      this.coverage[expected === 'online' ? 'pairs_online' : 'pairs_apart']++;
      const links = status.links.filter(({ name }) => name === this.#world.jid(other));
      const isOnline = links.some(({ state }) => state === 'online');
      // Who is no member is not even tried for; who is only away may be.
      const isTried = links.some(({ state }) => state === 'connecting');
      const isWrong =
        expected === 'online' ? !isOnline : isOnline || (isTried && !this.#model.areMembers(index, other));
      if (!isWrong) continue;
      const seen = JSON.stringify(
        links.map(({ state, path, detail, last_heard_ms }) => ({ state, path, detail, last_heard_ms })),
      );
      const what = expected === 'online' ? 'has no link to' : 'still has a link to';
      found.push({
        key: `pair ${index} ${other} ${expected}`,
        text: `${nodeName(index)} ${what} ${nodeName(other)}: ${seen}; hub ${status.hub.state}`,
        nodes: [index, other],
      });
    }
    return found;
  }

  /** A link that says that it is online must carry: its node pings along the ring over it. */
  #flow({ flow }: Watched, status: StatusReport, index: number, asked: number): Violation[] {
    const next = ringNeighbour(index, this.#watched.length);
    const mustCarry = this.#model.isRunning(index) && this.#model.pair(index, next, asked) === 'online';
    const link = status.links.find(({ name, state }) => name === this.#world.jid(next) && state === 'online');
    const silentMs = flow.silentMs(mustCarry ? link?.rx_bytes : undefined, asked);
    if (mustCarry) this.coverage.flows_checked++;
    if (silentMs < CARRIED_MS) return [];
    const text = `${nodeName(index)} pings ${nodeName(next)} over ${link?.path}, and for ${Math.round(silentMs / 1000)} s nothing comes`;
    return [{ key: `flow ${index} ${next}`, text, nodes: [index, next] }];
  }

  #counters(
    watched: Watched,
    index: number,
    status: StatusReport,
    before: CardCounters | undefined,
    after: CardCounters | undefined,
  ): Violation[] {
    const { instance, running } = status.tincan;
    if (before === undefined || after === undefined || instance === null || !running) {
      watched.counters = undefined;
      return [];
    }
    const sample = { instance, before, status, after };
    const problems = counterProblems(watched.counters, sample);
    watched.counters = sample;
    this.coverage.counter_checks++;
    return problems.map((text) => ({
      ...{
        key: `counter ${index} ${text.replace(/\d+/g, '')}`,
        text: `${nodeName(index)}: ${text}`,
        nodes: [index],
      },
    }));
  }

  /** The overlay's card as the kernel counts; any process of the node is in its network namespace. */
  async #card({ processes }: Watched): Promise<CardCounters | undefined> {
    const tincan = processes.find(({ name }) => name === 'tincan');
    if (tincan === undefined) return undefined;
    const text = await readFile(`/proc/${tincan.pid}/net/dev`, 'utf8').catch(() => '');
    return cardCounters(text, OVERLAY_INTERFACE);
  }

  async #processes(watched: Watched, index: number): Promise<Violation[]> {
    const now = await processesOn(watched.node);
    const gone = watched.processes.filter(
      (one) => !now.some((process) => isSame(process, one)) && !this.#world.killed.has(one.pid),
    );
    watched.processes = now;
    const found: Violation[] = gone.map(({ name, pid }) => ({
      ...{
        key: `ended ${pid}`,
        text: `${name} of ${nodeName(index)} (pid ${pid}) ended unasked`,
        nodes: [index],
      },
    }));
    if (this.coverage.looks % MEASURE_EVERY !== 0) return found;
    for (const process of now) found.push(...(await this.#measure(process, index)));
    return found;
  }

  async #measure({ name, pid, startTime }: NodeProcess, node: number): Promise<Violation[]> {
    const label = `${nodeName(node)} ${name}`;
    const key = `${pid} ${startTime}`;
    const at = monotonicMs();
    const sample = await sampleOf(pid, at);
    if (sample === undefined) return [];
    const history = this.#histories.get(key) ?? { label, node, firstAt: at, samples: [] };
    this.#histories.set(key, history);
    history.samples.push(sample);
    if (history.samples.length > MAX_SAMPLES) {
      history.samples.splice(0, MAX_SAMPLES, ...history.samples.filter((_, index) => index % 2 === 0));
    }
    return findLeaks(history.samples, history.firstAt).map(({ resource, early, late }) => ({
      key: `leak ${key} ${resource}`,
      text: `${label} (pid ${pid}) holds ever more ${resource}: at most ${early.toFixed(1)} early, at least ${late.toFixed(1)} late`,
      nodes: [node],
    }));
  }
}
