import fc from 'fast-check';
import { expect, test } from 'vitest';
import { calmMoment, gridMoment, nextGridMoment } from './calm-grid.ts';

test('what waits for the calm moment waits less than a second, and all that falls into one waits for the same', () => {
  expect(calmMoment(4_000)).toBe(4_000);
  expect([4_000.5, 4_300, 5_000].map(calmMoment)).toEqual([5_000, 5_000, 5_000]);
});

test('what repeats on a grid repeats at the same moments for all, and never later than each would alone', () => {
  const time = fc.double({ min: 0, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(time, fc.integer({ min: 1_000, max: 60_000 }), (now, grid) => {
      const next = gridMoment(now + grid, grid);
      expect(next).toBeGreaterThan(now - 1e-3);
      expect(next).toBeLessThanOrEqual(now + grid);
      expect(next % grid).toBe(0);
    }),
  );
  expect(gridMoment(Number.NEGATIVE_INFINITY, 10_000)).toBe(Number.NEGATIVE_INFINITY);
});

test('a timer that is a moment early does not take the moment again that it was set for', () => {
  expect([9_960, 10_000, 10_001, 14_000].map((now) => nextGridMoment(now, 5_000))).toEqual([
    15_000, 15_000, 15_000, 15_000,
  ]);
});
