import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MappingSchedule } from './mapping-schedule.ts';

const HOUR = 3_600_000;

test('nothing is due before there is a router, and then at once', () => {
  const schedule = new MappingSchedule();
  expect(schedule.dueAt).toBe(Number.POSITIVE_INFINITY);
  schedule.restart(5, true);
  expect(schedule.dueAt).toBe(5);
  schedule.restart(6, false);
  expect(schedule.dueAt).toBe(Number.POSITIVE_INFINITY);
});

test('a mapping is renewed well before its end, but never more often than twice a minute', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (seconds) => {
      const schedule = new MappingSchedule();
      schedule.restart(0, true);
      schedule.mapped(seconds * 1_000, 1_000);
      const wait = schedule.dueAt - 1_000;
      expect(wait).toBeGreaterThanOrEqual(30_000);
      expect(wait).toBeLessThanOrEqual(600_000);
      if (seconds > 60) expect(wait).toBeLessThanOrEqual(seconds * 500);
    }),
  );
});

test('where no router maps ports, a day costs some thirty tries', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.999, noNaN: true }), (random) => {
      const schedule = new MappingSchedule();
      schedule.restart(0, true);
      let tries = 0;
      for (; schedule.dueAt < 24 * HOUR; tries++) schedule.failed(schedule.dueAt, () => random);
      expect(tries).toBeGreaterThan(20);
      expect(tries).toBeLessThan(62);
    }),
  );
});

test('a router that is silent for a while is asked again soon, as long as it may still keep the mapping', () => {
  const schedule = new MappingSchedule();
  schedule.restart(0, true);
  schedule.mapped(HOUR, 0);
  schedule.failed(600_000, () => 0.99);
  expect(schedule.dueAt - 600_000).toBeLessThanOrEqual(15_000);
  expect(schedule.isAlive(HOUR - 1)).toBe(true);
  expect(schedule.isAlive(HOUR)).toBe(false);
});
