import { Random } from './random.ts';
import type { NodeStepKind, PlannedStep, Step } from './steps.ts';

/** Chaos for so long, then peace for so long: every bound of the model ends inside the peace, so that nothing stays unchecked. */
export const STORM_MS = 35_000;
export const PEACE_MS = 55_000;

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
export function makePlan({ seed, minutes, nodes }: PlanOptions): PlannedStep[] {
  const random = new Random(seed);
  const late = new Set(latecomers(nodes));
  const states = Array.from(
    { length: nodes },
    (_, index): PlanNode => ({
      ...{ running: !late.has(index), member: !late.has(index) },
      ...{ busyUntil: 0, killedAt: Number.NEGATIVE_INFINITY },
    }),
  );
  const steps: PlannedStep[] = [];
  const end = minutes * 60_000;
  let hubBusyUntil = 0;
  for (let stormAt = 0; stormAt < end; stormAt += STORM_MS + PEACE_MS) {
    const stormEnd = Math.min(stormAt + STORM_MS, end);
    let at = stormAt + random.between(...GAP_MS);
    while (at < stormEnd) {
      const until = Math.min(at + random.between(...OUTAGE_MS), stormEnd);
      const blow = random.next() < 0.06 ? hubBlow() : nodeBlow();
      steps.push(...blow);
      at += random.between(...GAP_MS);

      function hubBlow(): PlannedStep[] {
        if (at < hubBusyUntil) return [];
        hubBusyUntil = until;
        const kind = random.next() < 0.5 ? 'hub-kill' : 'hub-stop';
        return [
          { atMs: at, step: { kind } },
          { atMs: until, step: { kind: 'hub-start' } },
        ];
      }

      function nodeBlow(): PlannedStep[] {
        const node = random.between(0, nodes - 1);
        const state = states[node];
        if (state === undefined || at < state.busyUntil) return [];
        const kind = random.pick(blowsFor(state, node === 0, at, hubBusyUntil));
        if (kind === undefined) return [];
        const { first, undo } = strike(kind, node, random);
        if (kind === 'admit' || kind === 'revoke') state.member = kind === 'admit';
        if (kind.startsWith('kill-')) state.killedAt = at;
        const result: PlannedStep[] = [];
        if (kind === 'admit' && !state.running) {
          // Who joins for the first time starts its machine for it.
          state.running = true;
          result.push({ atMs: at, step: { kind: 'up', node } });
        }
        result.push({ atMs: at, step: first });
        if (undo !== undefined) {
          state.busyUntil = until;
          result.push({ atMs: until, step: undo });
        }
        return result;
      }
    }
  }
  // Undoing comes later than the next blow; equal times keep their order.
  return steps.sort((one, other) => one.atMs - other.atMs);
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
