import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { backoffMs, ConfigError, describeError, monotonicMs, Timers } from './index.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('setting a name again replaces its timer', () => {
  const timers = new Timers();
  const fired: string[] = [];
  timers.after('probe', 10, () => fired.push('first'));
  timers.after('probe', 20, () => fired.push('second'));
  vi.advanceTimersByTime(100);
  expect(fired).toEqual(['second']);
  expect(timers.names()).toEqual([]);
});

test('clearAll ends timeouts and intervals', () => {
  const timers = new Timers();
  let count = 0;
  timers.after('once', 10, () => count++);
  timers.every('often', 10, () => count++);
  timers.clearAll();
  vi.advanceTimersByTime(100);
  expect(count).toBe(0);
});

test('what is periodic happens at whole multiples of its interval, whenever it was begun, until it is cleared', () => {
  const timers = new Timers();
  const at: number[] = [];
  timers.every('one', 5_000, () => at.push(monotonicMs()));
  vi.advanceTimersByTime(1_234);
  timers.every('other', 10_000, () => {
    at.push(monotonicMs());
    if (at.length > 8) timers.clearAll();
  });
  vi.advanceTimersByTime(100_000);
  const count = at.length;
  expect(count).toBeGreaterThan(8);
  vi.advanceTimersByTime(100_000);
  expect(at.length).toBe(count);
  for (const moment of at) expect(Math.abs(moment - Math.round(moment / 5_000) * 5_000)).toBeLessThan(2);
  expect(timers.names()).toEqual([]);
});

test('a whole minute of the clock is one of the wall clock', () => {
  vi.useRealTimers();
  const wall = (performance.timeOrigin + performance.now()) % 60_000;
  const apart = Math.abs((monotonicMs() % 60_000) - wall);
  expect(Math.min(apart, 60_000 - apart)).toBeLessThan(1_000);
});

test('back-off doubles from the floor, stays under the ceiling and never halves its jitter away', () => {
  const policy = { firstMs: 500, maxMs: 60_000 };
  expect(backoffMs(policy, 1, () => 1)).toBe(500);
  expect(backoffMs(policy, 1, () => 0)).toBe(250);
  expect(backoffMs(policy, 4, () => 1)).toBe(4000);
  expect(backoffMs(policy, 500, () => 1)).toBe(60_000);
});

test('describeError prints the chain of causes', () => {
  const error = new ConfigError('CONFIG_FILE', 'cannot read a.json', { cause: new Error('ENOENT') });
  expect(describeError(error)).toBe('cannot read a.json: ENOENT');
  expect(error.fault).toBe('config');
});
