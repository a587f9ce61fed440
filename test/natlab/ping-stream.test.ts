import fc from 'fast-check';
import { expect, test } from 'vitest';
import { outage, PING_INTERVAL_MS } from './ping-stream.ts';

/** Replies every 50 ms but for the times left out. */
function replies(from: number, to: number, silent: readonly [number, number][]): number[] {
  const all: number[] = [];
  for (let at = from; at < to; at += PING_INTERVAL_MS) {
    if (!silent.some(([start, end]) => at >= start && at < end)) all.push(at);
  }
  return all;
}

test('the longest silence is found, and when it ended, counted from the event', () => {
  const found = outage(replies(0, 10_000, [[1_000, 3_000]]), 1_000, 10_000);
  expect(found.longestMs).toBe(2_050);
  expect(found.backMs).toBe(2_000);
});

test('who is never answered again is not back', () => {
  const found = outage(replies(0, 1_000, []), 1_000, 6_000);
  expect(found).toMatchObject({ backMs: null, answered: 0 });
  expect(found.longestMs).toBe(5_050);
});

test('an event without effect leaves the grain of the ping', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 5_000 }), (from) => {
      const found = outage(replies(0, 10_000, []), from, 9_950);
      expect(found.longestMs).toBeLessThanOrEqual(PING_INTERVAL_MS);
      expect(found.answered).toBeGreaterThan(0.95);
    }),
  );
});
