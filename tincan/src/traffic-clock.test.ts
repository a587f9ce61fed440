import { expect, test } from 'vitest';
import { TrafficClock } from './traffic-clock.ts';

test('a link that never carried anything has no last traffic', () => {
  const clock = new TrafficClock();
  clock.note(0, 10);
  expect(clock.idleMs(1_000)).toBeNull();
});

test('only bytes that were not there before count as traffic', () => {
  const clock = new TrafficClock();
  clock.note(100, 10);
  clock.note(100, 500);
  expect(clock.idleMs(1_010)).toBe(1_000);
  clock.note(101, 900);
  expect(clock.idleMs(1_010)).toBe(110);
});
