import fc from 'fast-check';
import { expect, test } from 'vitest';
import { REPLAY_WINDOW, ReplayWindow } from './replay-window.ts';

test('behaves like a set of all counters seen, with nothing taken from behind the window', () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -40, max: 40 }) },
    { weight: 2, arbitrary: fc.integer({ min: -REPLAY_WINDOW - 50, max: REPLAY_WINDOW + 50 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 40 }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = -1;
      let at = 0;
      for (const move of steps) {
        at = Math.max(0, highest + move);
        const isFresh = !seen.has(at) && at > highest - REPLAY_WINDOW;
        expect(window.isFresh(at)).toBe(isFresh);
        if (!isFresh) continue;
        window.commit(at);
        seen.add(at);
        highest = Math.max(highest, at);
      }
    }),
  );
});

test('looking takes nothing', () => {
  const window = new ReplayWindow();
  expect(window.isFresh(5)).toBe(true);
  expect(window.isFresh(5)).toBe(true);
  window.commit(5);
  expect(window.isFresh(5)).toBe(false);
  expect(window.isFresh(0)).toBe(true);
});
