import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterAnswerMs, afterFailureMs } from './ice-refresh.ts';

const NOW = 1_800_000_000_000;

test('new credentials are asked for when a third of the shortest life is left', () => {
  expect(afterAnswerMs([{ expires: NOW + 90_000 }, { expires: NOW + 900_000 }, {}], NOW)).toBeCloseTo(60_000);
});

test('services without an end are asked for each hour', () => {
  expect(afterAnswerMs([{}, {}], NOW)).toBe(3_600_000);
  expect(afterAnswerMs([], NOW)).toBe(3_600_000);
});

test('credentials that seem to be over already do not make a storm of questions', () => {
  expect(afterAnswerMs([{ expires: NOW - 1 }], NOW)).toBe(300_000);
});

test('the next question comes before the end, and never at once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (life) => {
      const wait = afterAnswerMs([{ expires: NOW + life }], NOW);
      expect(wait).toBeGreaterThanOrEqual(10_000);
      if (life > 15_000) expect(wait).toBeLessThan(life);
    }),
  );
});

test('a hub that does not answer is asked less and less often', () => {
  const waits = [1, 2, 3, 4, 5, 6, 100].map(afterFailureMs);
  expect(waits).toEqual([15_000, 30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
});
