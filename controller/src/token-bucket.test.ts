import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

test('in any stretch of time no more pass than the burst and the rate allow, whatever the clock does', () => {
  const steps = fc.array(fc.integer({ min: -500, max: 2_000 }), { maxLength: 300 });
  fc.assert(
    fc.property(steps, (gaps) => {
      const bucket = new TokenBucket(5, 10);
      let now = 10_000;
      let latest = now;
      const passed: number[] = [];
      for (const gap of gaps) {
        now += gap;
        latest = Math.max(latest, now);
        if (bucket.take(now)) passed.push(latest);
      }
      passed.forEach((from, index) => {
        passed.slice(index).forEach((to, more) => {
          expect(more + 1).toBeLessThanOrEqual(10 + ((to - from) / 1000) * 5 + 1e-6);
        });
      });
    }),
    { numRuns: 50 },
  );
});

test('after a pause the whole burst passes again', () => {
  const bucket = new TokenBucket(1, 3);
  const taken = (now: number) => [1, 2, 3, 4].filter(() => bucket.take(now)).length;
  expect(taken(0)).toBe(3);
  expect(taken(0)).toBe(0);
  expect(taken(60_000)).toBe(3);
});
