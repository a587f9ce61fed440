import { expect, test } from 'vitest';
import { hotClock } from './hot-clock.ts';

test('the hot clock agrees with hrtime, which other threads and processes read', () => {
  const clock = hotClock();
  const before = Number(process.hrtime.bigint()) / 1e6;
  const now = clock();
  const after = Number(process.hrtime.bigint()) / 1e6;
  expect(now).toBeGreaterThanOrEqual(before - 0.001);
  expect(now).toBeLessThanOrEqual(after + 0.001);
});
