import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ATTEMPT_MS, Race, STAGGER_MS } from './race.ts';

test('attempts begin one after another, from the start that was set', () => {
  const race = new Race(3, 1_000);
  expect(race.due).toBe(1_000);
  expect(race.step(999)).toEqual({ begin: [], end: [] });
  expect(race.step(1_000)).toEqual({ begin: [0], end: [] });
  expect(race.due).toBe(1_000 + STAGGER_MS);
  expect(race.step(1_000 + STAGGER_MS)).toEqual({ begin: [1], end: [] });
});

test('when one fails, the next begins at once', () => {
  const race = new Race(2, 0);
  race.step(0);
  race.failed(0, 10);
  expect(race.due).toBe(10);
  expect(race.step(10)).toEqual({ begin: [1], end: [] });
  expect(race.isLost).toBe(false);
  race.failed(1, 20);
  expect(race.isLost).toBe(true);
  expect(race.due).toBe(Number.POSITIVE_INFINITY);
});

test('an attempt that never answers is ended', () => {
  const race = new Race(1, 0);
  race.step(0);
  expect(race.step(ATTEMPT_MS)).toEqual({ begin: [], end: [0] });
  expect(race.isLost).toBe(true);
});

test('every race in which nobody answers is lost, each attempt begun once and ended once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 8 }),
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 20 }),
      (count, failures) => {
        const race = new Race(count, 0);
        const begun: number[] = [];
        const ended: number[] = [];
        let now = 0;
        for (let turn = 0; race.due < Number.POSITIVE_INFINITY && turn < 100; turn++) {
          now = Math.max(now, race.due);
          const { begin, end } = race.step(now);
          begun.push(...begin);
          ended.push(...end);
          const failing = failures[turn] ?? 99;
          if (begun.includes(failing) && !ended.includes(failing)) {
            race.failed(failing, now);
            ended.push(failing);
          }
        }
        const all = Array.from({ length: count }, (_, index) => index);
        expect(race.isLost).toBe(true);
        expect(begun).toEqual(all);
        expect(ended.sort()).toEqual(all);
      },
    ),
  );
});
