import { expect, test } from 'vitest';
import { SoakModel } from './model.ts';
import { CALM_MS, latecomers, makePlan, PEACE_MS, STORM_MS } from './plan.ts';
import { describeStep, NODE_STEPS, type PlannedStep } from './steps.ts';

const PLANS = Array.from({ length: 200 }, (_, seed) => makePlan({ seed, minutes: 9, nodes: 10 }));

test('the plan follows from the seed alone', () => {
  expect(makePlan({ seed: 7, minutes: 30, nodes: 10 })).toEqual(
    makePlan({ seed: 7, minutes: 30, nodes: 10 }),
  );
  expect(makePlan({ seed: 7, minutes: 3, nodes: 10 })).not.toEqual(
    makePlan({ seed: 8, minutes: 3, nodes: 10 }),
  );
});

test('over many seeds every kind of step is taken', () => {
  const taken = new Set(PLANS.flat().map(({ step }) => step.kind));
  expect([...taken].sort()).toEqual([...NODE_STEPS, 'hub-stop', 'hub-kill', 'hub-start'].sort());
});

test('steps come in order, in peace only one join or leave, and every outage is mended before peace', () => {
  for (const plan of PLANS) {
    let [last, out] = [0, 0];
    for (const { atMs, step } of plan) {
      expect(atMs).toBeGreaterThanOrEqual(last);
      const inCycle = atMs % (STORM_MS + PEACE_MS);
      if (inCycle > STORM_MS) {
        expect(inCycle).toBe(STORM_MS + CALM_MS);
        expect(['up', 'admit', 'revoke']).toContain(step.kind);
      }
      last = atMs;
      if (['cable-out', 'loss-begin', 'hub-stop', 'hub-kill'].includes(step.kind)) out++;
      if (['cable-in', 'loss-end', 'hub-start'].includes(step.kind)) out--;
      expect(out).toBeGreaterThanOrEqual(0);
    }
    expect(out).toBe(0);
  }
});

test('only what can be done is done: who is down is not killed, who is no member is not removed', () => {
  for (const plan of PLANS) {
    const late = latecomers(10);
    const running = Array.from({ length: 10 }, (_, index) => !late.includes(index));
    const member = [...running];
    let hub = true;
    for (const { step } of plan) {
      if (!('node' in step)) {
        expect(hub).toBe(step.kind !== 'hub-start');
        hub = step.kind === 'hub-start';
        continue;
      }
      const words = describeStep(step);
      const { kind, node } = step;
      if (kind === 'admit' || kind === 'revoke') {
        expect(hub, words).toBe(true);
        expect(member[node], words).toBe(kind === 'revoke');
        member[node] = kind === 'admit';
      } else if (kind === 'up') {
        expect(running[node], words).toBe(false);
        running[node] = true;
      } else {
        expect(running[node], words).toBe(true);
        if (kind === 'down' || kind === 'kill-supervisor') running[node] = false;
      }
      if (node === 0) expect(words).not.toMatch(/kill|down/);
    }
  }
});

/** Looks that a run of the plan would have at pairs that must be apart, if each step took a second. */
function looksApart(plan: readonly PlannedStep[], nodes: number, end: number): number {
  const late = latecomers(nodes);
  const states = Array.from({ length: nodes }, (_, index) => ({
    ...{ running: !late.includes(index), member: !late.includes(index) },
  }));
  const model = new SoakModel(states, 0);
  const left = [...plan];
  let apart = 0;
  for (let now = 0; now < end; now += 1_000) {
    const next = left[0];
    if (next !== undefined && next.atMs <= now) {
      model.begin(next.step, now);
      model.done(next.step, now + 1_000);
      left.shift();
    }
    for (let a = 0; a < nodes; a++) {
      for (let b = 0; b < a; b++) if (model.pair(a, b, now) === 'apart') apart++;
    }
  }
  return apart;
}

test('no seed makes three minutes in which no pair must be apart', () => {
  for (let seed = 0; seed < 300; seed++) {
    const plan = makePlan({ seed, minutes: 3, nodes: 10 });
    expect(looksApart(plan, 10, 180_000), `seed ${seed}`).toBeGreaterThan(20);
  }
});
