import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RestartPolicy } from './restart-policy.ts';

test('restarts at once first, then after 0.5 s doubling up to 30 s', () => {
  const policy = new RestartPolicy(() => 1);
  const waits = Array.from({ length: 9 }, () => {
    policy.started(0);
    return policy.died(10);
  });
  expect(waits).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test('a minute of life makes a death the first one again', () => {
  const policy = new RestartPolicy(() => 1);
  policy.started(0);
  policy.died(1);
  policy.started(1);
  expect(policy.died(60_000)).toBe(500);
  policy.started(60_000);
  expect(policy.died(120_000)).toBe(0);
  expect(policy.deaths).toBe(1);
});

test('never waits longer than 30 s, and never not at all twice within a minute', () => {
  const lives = fc.array(fc.nat(120_000), { maxLength: 50 });
  fc.assert(
    fc.property(lives, fc.double({ min: 0, max: 1, noNaN: true }), (lifetimes, random) => {
      const policy = new RestartPolicy(() => random);
      let now = 0;
      lifetimes.forEach((lifetime, index) => {
        policy.started(now);
        now += lifetime;
        const wait = policy.died(now);
        expect(wait).toBeLessThanOrEqual(30_000);
        if (index > 0 && lifetime < 60_000) expect(wait).toBeGreaterThanOrEqual(250);
        now += wait;
      });
    }),
  );
});
