import fc from 'fast-check';
import { expect, test } from 'vitest';
import { percentile, spread } from './statistics.ts';

test('the median is the middle, or the mean of the two in the middle', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  expect(spread([7])).toEqual({ median: 7, min: 7, max: 7 });
});

test('as many values as it says are not above a percentile, and not without it', () => {
  const values = fc.array(fc.integer(), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 100 }), (list, percent) => {
      const found = percentile(list, percent);
      expect(list.filter((value) => value <= found).length / list.length).toBeGreaterThanOrEqual(
        percent / 100,
      );
      expect(list.filter((value) => value < found).length / list.length).toBeLessThan(percent / 100);
    }),
  );
});
