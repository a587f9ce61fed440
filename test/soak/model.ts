import { APART_MS, CONTROLLER_BACK_MS, HUB_BACK_MS, ONLINE_WITHIN_MS, REVOKED_MS } from './bounds.ts';
import type { Step } from './steps.ts';

/** What must hold for a pair of nodes; `open`: a bound still runs, either is right. */
export type Expectation = 'online' | 'apart' | 'open';

/** From `from` on signalling was out; at `until` it must work again. */
interface Outage {
  readonly from: number;
  until: number;
}

interface ModelNode {
  running: boolean;
  member: boolean;
  cable: boolean;
  lossy: boolean;
  /** From then on its links must be what they should be; Infinity while it is disturbed. */
  settledAt: number;
  /** When it was last started, stopped, admitted or removed. */
  changedAt: number;
  readonly controllerOutages: Outage[];
}

/** Outages that ended so long ago cannot matter to any pair any more. */
const FORGET_MS = 300_000;

/**
 * Who should be linked with whom, and when. Pure: told of each step when it begins and when it is done, on one clock of milliseconds.
 *
 * Links outlive the hub and the controllers: a pair that was settled must stay online through their outages. A pair that was not yet must
 * be online after them.
 */
export class SoakModel {
  readonly #nodes: readonly ModelNode[];
  #hubOutages: Outage[] = [];

  constructor(nodes: readonly { running: boolean; member: boolean }[], now: number) {
    this.#nodes = nodes.map(({ running, member }) => ({
      ...{ running, member, cable: true, lossy: false },
      ...{ settledAt: now + bound('up'), changedAt: now, controllerOutages: [] },
    }));
  }

  begin(step: Step, now: number): void {
    if (!('node' in step)) {
      if (step.kind !== 'hub-start') this.#hubOutages.push({ from: now, until: Number.POSITIVE_INFINITY });
      return;
    }
    const node = this.#node(step.node);
    switch (step.kind) {
      case 'kill-controller':
        node.controllerOutages.push({ from: now, until: Number.POSITIVE_INFINITY });
        return;
      case 'cable-out':
        node.cable = false;
        break;
      case 'loss-begin':
        node.lossy = true;
        break;
      case 'down':
      case 'kill-supervisor':
        node.running = false;
        node.changedAt = now;
        break;
      case 'revoke':
        node.member = false;
        node.changedAt = now;
        return;
    }
    node.settledAt = Number.POSITIVE_INFINITY;
  }

  done(step: Step, now: number): void {
    this.#forget(now);
    if (!('node' in step)) {
      const last = this.#hubOutages.at(-1);
      if (step.kind === 'hub-start' && last !== undefined) last.until = now + HUB_BACK_MS;
      return;
    }
    const node = this.#node(step.node);
    switch (step.kind) {
      case 'kill-controller': {
        const last = node.controllerOutages.at(-1);
        if (last !== undefined) last.until = now + CONTROLLER_BACK_MS;
        return;
      }
      case 'up':
        node.running = true;
        node.changedAt = now;
        break;
      case 'down':
      case 'kill-supervisor':
        // Its end took time; the others can notice from now on.
        node.changedAt = now;
        break;
      case 'cable-in':
        node.cable = true;
        break;
      case 'loss-end':
        node.lossy = false;
        break;
      case 'admit':
        node.member = true;
        node.changedAt = now;
        break;
      case 'revoke':
        // The bound runs from the hub's word on.
        node.changedAt = now;
        return;
    }
    const whole = node.running && node.cable && !node.lossy;
    node.settledAt = whole ? now + bound(step.kind) : Number.POSITIVE_INFINITY;
  }

  /** What must hold between two nodes. */
  pair(a: number, b: number, now: number): Expectation {
    const [one, other] = [this.#node(a), this.#node(b)];
    if (one.running && other.running && one.member && other.member) {
      return now >= this.#onlineBy(one, other) ? 'online' : 'open';
    }
    return now >= this.#apartBy(one, other) ? 'apart' : 'open';
  }

  /** Whether the node's controller must answer. */
  mustAnswer(index: number, now: number): boolean {
    const node = this.#node(index);
    if (!node.running || now < node.changedAt + bound('up')) return false;
    return node.controllerOutages.every(({ until }) => now >= until);
  }

  /** Whether the hub's group has both, so that they may know of each other at all. */
  areMembers(a: number, b: number): boolean {
    return this.#node(a).member && this.#node(b).member;
  }

  isRunning(index: number): boolean {
    return this.#node(index).running;
  }

  #onlineBy(one: ModelNode, other: ModelNode): number {
    const outages = [...this.#hubOutages, ...one.controllerOutages, ...other.controllerOutages];
    let due = Math.max(one.settledAt, other.settledAt);
    for (const { from, until } of outages.sort((x, y) => x.from - y.from)) {
      if (due > from) due = Math.max(due, until);
    }
    return due;
  }

  #apartBy(one: ModelNode, other: ModelNode): number {
    const since = Math.max(
      ...[one, other].map((node) =>
        node.running && node.member ? Number.NEGATIVE_INFINITY : node.changedAt,
      ),
    );
    const disturbances = [...this.#hubOutages, ...one.controllerOutages, ...other.controllerOutages];
    const isQuiet =
      disturbances.every(({ until }) => until <= since) &&
      [one, other].every(({ running, settledAt }) => running && settledAt <= since);
    if (isQuiet) return since + REVOKED_MS;
    const signalled = Math.max(since, ...disturbances.map(({ until }) => until));
    // One end that works is enough to end a link.
    const able = Math.min(...[one, other].map(({ running, settledAt }) => (running ? settledAt : 0)));
    return Math.max(signalled, able) + APART_MS;
  }

  #node(index: number): ModelNode {
    const node = this.#nodes[index];
    if (node === undefined) throw new RangeError(`there is no node ${index}`);
    return node;
  }

  #forget(now: number): void {
    const isRecent = ({ until }: Outage): boolean => until + FORGET_MS > now;
    this.#hubOutages = this.#hubOutages.filter(isRecent);
    for (const { controllerOutages } of this.#nodes) {
      controllerOutages.splice(0, controllerOutages.length, ...controllerOutages.filter(isRecent));
    }
  }
}

function bound(kind: keyof typeof ONLINE_WITHIN_MS): number {
  return ONLINE_WITHIN_MS[kind] ?? 0;
}
