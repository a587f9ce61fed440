import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AGGREGATE_MAX_BYTES, AGGREGATE_MIN_BYTES, nextAggregate } from './aggregation.ts';

function after(start: number, losses: readonly number[]): number {
  return losses.reduce(nextAggregate, start);
}

test('loss brings messages down to single frames within a few reports, and its end brings them back', () => {
  const down = after(AGGREGATE_MAX_BYTES, Array(8).fill(10));
  expect(down).toBe(AGGREGATE_MIN_BYTES);
  expect(after(down, Array(8).fill(0))).toBe(AGGREGATE_MAX_BYTES);
});

test('loss between the two limits changes nothing', () => {
  for (const size of [AGGREGATE_MIN_BYTES, 3_000, AGGREGATE_MAX_BYTES])
    expect(nextAggregate(size, 1)).toBe(size);
});

test('whatever is reported, the size stays within its bounds', () => {
  const loss = fc.oneof(fc.double({ min: 0, max: 1000, noNaN: true }), fc.constantFrom(0, 0.5, 2, 1000));
  fc.assert(
    fc.property(fc.array(loss, { maxLength: 50 }), (losses) => {
      const size = after(AGGREGATE_MAX_BYTES, losses);
      expect(size).toBeGreaterThanOrEqual(AGGREGATE_MIN_BYTES);
      expect(size).toBeLessThanOrEqual(AGGREGATE_MAX_BYTES);
    }),
  );
});
