import { expect, test } from 'vitest';
import { latecomers, makePlan, PEACE_MS, STORM_MS } from './plan.ts';
import { describeStep, NODE_STEPS } from './steps.ts';

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

test('steps come in order, inside storms only, and every outage is mended before peace', () => {
  for (const plan of PLANS) {
    let [last, out] = [0, 0];
    for (const { atMs, step } of plan) {
      expect(atMs).toBeGreaterThanOrEqual(last);
      expect(atMs % (STORM_MS + PEACE_MS)).toBeLessThanOrEqual(STORM_MS);
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
