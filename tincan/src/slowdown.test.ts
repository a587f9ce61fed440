import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ScheduleTimes, Slowdown } from './slowdown.ts';

const MS = 1_000_000;

test('a thread that waits nine times as long as it runs is slowed down tenfold; on a machine with time nothing is', () => {
  let times: ScheduleTimes = { ran: 100 * MS, waited: 900 * MS };
  const slowdown = new Slowdown(() => times);
  expect(slowdown.factor(0)).toBe(10);
  times = { ran: 200 * MS, waited: 1_000 * MS };
  // Too soon after the last reading.
  expect(slowdown.factor(249)).toBe(10);
  expect(slowdown.factor(250)).toBe(1);
  times = { ran: 201 * MS, waited: 2_000 * MS };
  // It has hardly run, so that nothing is known.
  expect(slowdown.factor(1_000)).toBe(1);
});

test('a kernel that does not tell slows nothing down', () => {
  expect(new Slowdown(() => undefined).factor(0)).toBe(1);
});

test('this process is told its own times', () => {
  const factor = new Slowdown().factor(0);
  expect(factor).toBeGreaterThanOrEqual(1);
  expect(factor).toBeLessThanOrEqual(15);
});

test('whatever the times, the factor is 1, or between 3 and 15', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(10 * MS), fc.nat(100 * MS), fc.nat(1_000))), (steps) => {
      let times: ScheduleTimes = { ran: 0, waited: 0 };
      let now = 0;
      const slowdown = new Slowdown(() => times);
      for (const [ran, waited, ms] of steps) {
        times = { ran: times.ran + ran, waited: times.waited + waited };
        now += ms;
        const factor = slowdown.factor(now);
        expect(factor === 1 || (factor >= 3 && factor <= 15)).toBe(true);
      }
    }),
  );
});
