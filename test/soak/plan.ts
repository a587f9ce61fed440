import { Random } from './random.ts';
import type { NodeStepKind, PlannedStep, Step } from './steps.ts';

/** Chaos for so long, then peace for so long: every bound of the model ends inside the peace, so that nothing stays unchecked. */
export const STORM_MS = 30_000;
export const PEACE_MS = 60_000;
/**
 * So long into the peace, when the bounds of all blows have run out (the longest is 45 s), one is removed or admitted with nothing else
 * going on. What must hold then is sharpest; and however the dice fall, no plan is without pairs that must be apart.
 */
export const CALM_MS = 50_000;

/** Pause between two blows: several at once, but a machine of two cores is not busy with starting processes alone. */
const GAP_MS = [1_500, 5_000] as const;
/** How long a cable is out, a wire loses, the hub is away, a node is down. */
const OUTAGE_MS = [3_000, 18_000] as const;
/** Loss in each direction, percent: from a bad radio link to one that hardly works. */
const LOSS_PERCENT = [5, 30] as const;
/** A supervisor starts a process again at once when it had lived for a minute; the plan keeps to that for each node. */
const KILL_PAUSE_MS = 70_000;

export interface PlanOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
}

/** Nodes that are neither members nor running at the start: those who join later. */
export function latecomers(nodes: number): readonly number[] {
  return Array.from({ length: Math.floor(nodes / 5) }, (_, index) => nodes - 1 - index);
}

interface PlanNode {
  running: boolean;
  member: boolean;
  /** Something is undone until then; no second blow before. */
  busyUntil: number;
  killedAt: number;
}

/** The seed's sequence of steps. Node 0 is never stopped or killed: what it leaks would show over the whole run. */
export function makePlan(options: PlanOptions): PlannedStep[] {
  const planner = new Planner(options);
  const end = options.minutes * 60_000;
  for (let stormAt = 0; stormAt < end; stormAt += STORM_MS + PEACE_MS) {
    planner.storm(stormAt, Math.min(stormAt + STORM_MS, end));
    if (stormAt + STORM_MS + CALM_MS < end) planner.calm(stormAt + STORM_MS + CALM_MS);
  }
  // Undoing comes later than the next blow; equal times keep their order.
  return planner.steps.sort((one, other) => one.atMs - other.atMs);
}

class Planner {
  readonly steps: PlannedStep[] = [];
  readonly #random: Random;
  readonly #nodes: readonly PlanNode[];
  #hubBusyUntil = 0;

  constructor({ seed, nodes }: PlanOptions) {
    this.#random = new Random(seed);
    const late = new Set(latecomers(nodes));
    this.#nodes = Array.from(
      { length: nodes },
      (_, index): PlanNode => ({
        ...{ running: !late.has(index), member: !late.has(index) },
        ...{ busyUntil: 0, killedAt: Number.NEGATIVE_INFINITY },
      }),
    );
  }

  storm(from: number, end: number): void {
    let at = from + this.#random.between(...GAP_MS);
    while (at < end) {
      const until = Math.min(at + this.#random.between(...OUTAGE_MS), end);
      if (this.#random.next() < 0.06) this.#hubBlow(at, until);
      else this.#nodeBlow(at, until);
      at += this.#random.between(...GAP_MS);
    }
  }

  /** Removes one while most are members, admits one otherwise. */
  calm(at: number): void {
    const members = [...this.#nodes.entries()].filter(([, { member, running }]) => member && running);
    const others = [...this.#nodes.entries()].filter(([, { member }]) => !member);
    const remove = members.length > others.length;
    const [node, state] = this.#random.pick(remove ? members : others) ?? [];
    if (node !== undefined && state !== undefined)
      this.#changeMembership(remove ? 'revoke' : 'admit', node, state, at);
  }

  #hubBlow(at: number, until: number): void {
    if (at < this.#hubBusyUntil) return;
    this.#hubBusyUntil = until;
    const kind = this.#random.next() < 0.5 ? 'hub-kill' : 'hub-stop';
    this.steps.push({ atMs: at, step: { kind } }, { atMs: until, step: { kind: 'hub-start' } });
  }

  #nodeBlow(at: number, until: number): void {
    const node = this.#random.between(0, this.#nodes.length - 1);
    const state = this.#nodes[node];
    if (state === undefined || at < state.busyUntil) return;
    const kind = this.#random.pick(blowsFor(state, node === 0, at, this.#hubBusyUntil));
    if (kind === undefined) return;
    if (kind === 'admit' || kind === 'revoke') {
      this.#changeMembership(kind, node, state, at);
      return;
    }
    const { first, undo } = strike(kind, node, this.#random);
    if (kind.startsWith('kill-')) state.killedAt = at;
    this.steps.push({ atMs: at, step: first });
    if (undo === undefined) return;
    state.busyUntil = until;
    this.steps.push({ atMs: until, step: undo });
  }

  #changeMembership(kind: 'admit' | 'revoke', node: number, state: PlanNode, at: number): void {
    state.member = kind === 'admit';
    if (kind === 'admit' && !state.running) {
      // Who joins for the first time starts its machine for it.
      state.running = true;
      this.steps.push({ atMs: at, step: { kind: 'up', node } });
    }
    this.steps.push({ atMs: at, step: { kind, node } });
  }
}

function blowsFor(state: PlanNode, spared: boolean, at: number, hubBusyUntil: number): NodeStepKind[] {
  const hubIsThere = at >= hubBusyUntil;
  // ejabberd is told of members through itself.
  const membership: NodeStepKind[] = hubIsThere ? [state.member ? 'revoke' : 'admit'] : [];
  if (!state.running) return membership;
  const kills: NodeStepKind[] = ['kill-tincan', 'kill-controller', 'kill-supervisor'];
  const mayKill = !spared && at - state.killedAt >= KILL_PAUSE_MS;
  return [
    ...membership,
    ...(spared ? [] : (['down'] as const)),
    ...(mayKill ? kills : []),
    ...(['cable-out', 'loss-begin'] as const),
  ];
}

/** A blow, and what ends it. */
function strike(kind: NodeStepKind, node: number, random: Random): { first: Step; undo?: Step } {
  switch (kind) {
    case 'down':
    case 'kill-supervisor':
      return { first: { kind, node }, undo: { kind: 'up', node } };
    case 'cable-out':
      return { first: { kind, node }, undo: { kind: 'cable-in', node } };
    case 'loss-begin':
      return {
        first: { kind, node, percent: random.between(...LOSS_PERCENT) },
        undo: { kind: 'loss-end', node },
      };
    default:
      return { first: { kind, node } };
  }
}
