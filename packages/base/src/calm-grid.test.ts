import fc from 'fast-check';
import { expect, test } from 'vitest';
import { calmMoment, idleMoment, nextGridMoment } from './calm-grid.ts';

test('what waits for the calm moment waits less than a second, and all that falls into one waits for the same', () => {
  expect(calmMoment(4_000)).toBe(4_000);
  expect([4_000.5, 4_300, 5_000].map(calmMoment)).toEqual([5_000, 5_000, 5_000]);
});

test('what idle links repeat falls on the same moments for all, and never later than each would alone', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (at) => {
      const moment = idleMoment(at);
      expect(moment % 5_000).toBe(0);
      expect(moment).toBeLessThanOrEqual(at);
      expect(at - moment).toBeLessThan(5_000);
    }),
  );
  // What was never done is due at once.
  expect(idleMoment(Number.NEGATIVE_INFINITY)).toBe(Number.NEGATIVE_INFINITY);
});

test('a timer that is a moment early does not take the moment again that it was set for', () => {
  expect([9_960, 10_000, 10_001, 14_000].map((now) => nextGridMoment(now, 5_000))).toEqual([
    15_000, 15_000, 15_000, 15_000,
  ]);
});
