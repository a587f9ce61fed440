import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RelayNeed } from './relay-need.ts';

test('the first end asks after 0.8 s without a direct path, the second after 2.5 s, and neither before', () => {
  for (const [isFirst, after] of [
    [true, 800],
    [false, 2_500],
  ] as const) {
    const need = new RelayNeed({ isFirst, tookMs: 2_000, slowdown: 1 }, 1_000);
    expect(need.update(false, true, 1_000)).toBe(false);
    expect(need.dueAt).toBe(1_000 + after);
    expect(need.update(false, true, 999 + after)).toBe(false);
    expect(need.update(false, true, 1_000 + after)).toBe(true);
    expect(need.dueAt).toBe(Number.POSITIVE_INFINITY);
  }
});

test('between machines so busy that the link took seconds to come up it waits longer, 10.8 s at most', () => {
  for (const [tookMs, after] of [
    [2_001, 4_802],
    [60_000, 10_800],
  ] as const) {
    const need = new RelayNeed({ isFirst: true, tookMs, slowdown: 1 }, 0);
    expect(need.update(false, true, after - 1)).toBe(false);
    expect(need.update(false, true, after)).toBe(true);
  }
});

test('on a machine that is slowed down it waits as much longer, 10.8 s at most', () => {
  for (const [slowdown, after] of [
    [5, 4_000],
    [15, 10_800],
  ] as const) {
    const need = new RelayNeed({ isFirst: true, tookMs: 1_000, slowdown }, 0);
    expect(need.update(false, true, after - 1)).toBe(false);
    expect(need.update(false, true, after)).toBe(true);
  }
});

test('while data flows nothing is added for a busy machine', () => {
  for (const isFirst of [true, false]) {
    for (const [tookMs, slowdown] of [
      [60_000, 1],
      [1_000, 15],
    ] as const) {
      const need = new RelayNeed({ isFirst, tookMs, slowdown }, 0);
      const after = isFirst ? 800 : 2_500;
      expect(need.update(false, false, after - 1)).toBe(false);
      expect(need.dueAt).toBe(after);
      expect(need.update(false, false, after)).toBe(true);
    }
  }
});

test('a direct path must last half a minute before the relay is given back', () => {
  const need = new RelayNeed({ isFirst: true, tookMs: 200, slowdown: 1 }, 0);
  need.update(false, false, 800);
  expect(need.update(true, false, 2_000)).toBe(true);
  expect(need.update(false, false, 20_000)).toBe(true);
  expect(need.update(true, false, 21_000)).toBe(true);
  expect(need.update(true, false, 50_999)).toBe(true);
  expect(need.update(true, false, 51_000)).toBe(false);
  expect(need.update(true, false, 99_000)).toBe(false);
});

test('a direct path that is lost while nothing flows is missed after 20 s, or with the first packet', () => {
  const lost = (): RelayNeed => {
    const need = new RelayNeed({ isFirst: true, tookMs: 200, slowdown: 1 }, 0);
    need.update(true, true, 500);
    need.update(false, true, 10_000);
    return need;
  };
  const [idle, used] = [lost(), lost()];
  expect(idle.update(false, true, 29_999)).toBe(false);
  expect(idle.update(false, true, 30_000)).toBe(true);
  expect(used.update(false, true, 12_000)).toBe(false);
  expect(used.update(false, false, 12_001)).toBe(true);
});

test('whatever happens, it is never due in the past, so that no timer can spin', () => {
  const step = fc.tuple(fc.boolean(), fc.boolean(), fc.nat(40_000));
  fc.assert(
    fc.property(fc.boolean(), fc.array(step), (isFirst, steps) => {
      const need = new RelayNeed({ isFirst, tookMs: 0, slowdown: 1 }, 0);
      let now = 0;
      for (const [isDirect, isIdle, wait] of steps) {
        now += wait;
        need.update(isDirect, isIdle, now);
        expect(need.dueAt).toBeGreaterThan(now);
      }
    }),
  );
});
