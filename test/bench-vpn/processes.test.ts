import { expect, test } from 'vitest';
import { usage } from './processes.ts';

test('counts CPU time and memory of running processes, and nothing for those that are gone', async () => {
  const before = await usage([process.pid]);
  expect(before.cpuSeconds).toBeGreaterThan(0);
  expect(before.rssMegabytes).toBeCloseTo(process.memoryUsage().rss / 1e6, -2);
  // Above PID_MAX_LIMIT of linux/threads.h: there is no such process.
  expect(await usage([2 ** 22 + 1])).toEqual({ cpuSeconds: 0, rssMegabytes: 0 });
});
