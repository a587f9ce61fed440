import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RelayNeed } from './relay-need.ts';

test('the first end asks after 0.8 s without a direct path, the second after 2.5 s, and neither before', () => {
  for (const [isFirst, after] of [
    [true, 800],
    [false, 2_500],
  ] as const) {
    const need = new RelayNeed({ isFirst, tookMs: 2_000 }, 1_000);
    expect(need.update(false, 1_000)).toBe(false);
    expect(need.dueAt).toBe(1_000 + after);
    expect(need.update(false, 999 + after)).toBe(false);
    expect(need.update(false, 1_000 + after)).toBe(true);
    expect(need.dueAt).toBe(Number.POSITIVE_INFINITY);
  }
});

test('between machines so busy that the link took seconds to come up it waits longer, 10.8 s at most', () => {
  for (const [tookMs, after] of [
    [3_001, 6_802],
    [60_000, 10_800],
  ] as const) {
    const need = new RelayNeed({ isFirst: true, tookMs }, 0);
    expect(need.update(false, after - 1)).toBe(false);
    expect(need.update(false, after)).toBe(true);
  }
});

test('a direct path must last half a minute before the relay is given back', () => {
  const need = new RelayNeed({ isFirst: true, tookMs: 200 }, 0);
  need.update(false, 800);
  expect(need.update(true, 2_000)).toBe(true);
  expect(need.update(false, 20_000)).toBe(true);
  expect(need.update(true, 21_000)).toBe(true);
  expect(need.update(true, 50_999)).toBe(true);
  expect(need.update(true, 51_000)).toBe(false);
  expect(need.update(true, 99_000)).toBe(false);
});

test('whatever happens, it is never due in the past, so that no timer can spin', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.tuple(fc.boolean(), fc.nat(40_000))), (isFirst, steps) => {
      const need = new RelayNeed({ isFirst, tookMs: 0 }, 0);
      let now = 0;
      for (const [isDirect, wait] of steps) {
        now += wait;
        need.update(isDirect, now);
        expect(need.dueAt).toBeGreaterThan(now);
      }
    }),
  );
});
