import { expect, test } from 'vitest';
import { StartGate } from './start-gate.ts';

test('what comes before the opening is done at the opening, in order; what comes later at once; too much is dropped and counted', () => {
  const gate = new StartGate();
  const done: number[] = [];
  for (let n = 0; n < 1_030; n++) gate.whenOpen(() => done.push(n));
  expect(done).toEqual([]);
  gate.open();
  expect(done).toEqual(Array.from({ length: 1_024 }, (_, n) => n));
  expect(gate.counters.dropped_before_ready).toBe(6);
  gate.whenOpen(() => done.push(-1));
  expect(done.at(-1)).toBe(-1);
  gate.open();
  expect(done).toHaveLength(1_025);
});
