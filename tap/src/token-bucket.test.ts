import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

test('lets a burst pass, then the steady rate', () => {
  const bucket = new TokenBucket(10, 3, 0);
  expect([0, 0, 0, 0].map((at) => bucket.take(at))).toEqual([true, true, true, false]);
  expect(bucket.take(99)).toBe(false);
  expect(bucket.take(100)).toBe(true);
  expect(bucket.take(100)).toBe(false);
});

test('never admits more than depth plus rate times the time that passed, whatever the clock does', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2000 }),
      fc.integer({ min: 1, max: 500 }),
      fc.array(fc.integer({ min: -50, max: 200 }), { maxLength: 400 }),
      (rate, depth, steps) => {
        const bucket = new TokenBucket(rate, depth, 0);
        let now = 0;
        let latest = 0;
        let admitted = 0;
        for (const step of steps) {
          now += step;
          latest = Math.max(latest, now);
          if (bucket.take(now)) admitted++;
        }
        expect(admitted).toBeLessThanOrEqual(depth + (latest * rate) / 1000 + 1e-6);
      },
    ),
  );
});
