import { expect, test } from 'vitest';
import { FlowWatch } from './flow-watch.ts';

test('a count that stands still is silence from the look on that first saw it so', () => {
  const flow = new FlowWatch();
  expect([flow.silentMs(100, 0), flow.silentMs(200, 1_000), flow.silentMs(200, 2_000)]).toEqual([
    0, 0, 1_000,
  ]);
  expect([flow.silentMs(200, 12_000), flow.silentMs(300, 13_000)]).toEqual([11_000, 0]);
});

test('a link that was made anew, or that need not carry, is no silence', () => {
  const flow = new FlowWatch();
  flow.silentMs(200, 0);
  expect(flow.silentMs(50, 9_000)).toBe(0);
  expect(flow.silentMs(undefined, 10_000)).toBe(0);
  expect(flow.silentMs(undefined, 30_000)).toBe(0);
  expect([flow.silentMs(50, 31_000), flow.silentMs(50, 32_000)]).toEqual([0, 1_000]);
});
