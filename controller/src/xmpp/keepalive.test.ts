import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ANSWER_MS, IDLE_MS, keepaliveStep } from './keepalive.ts';

/** Runs the keepalive against a hub that is heard at the given times; when it is declared dead, or null by `until`. */
function run(heard: number[], answers: boolean, until: number): { deadAt: number | null; probes: number[] } {
  const probes: number[] = [];
  const times = [0, ...heard];
  let now = 0;
  let probedAt = Number.NEGATIVE_INFINITY;
  while (now <= until) {
    const heardAt = Math.max(...times.filter((time) => time <= now));
    const { action, delayMs } = keepaliveStep(heardAt, probedAt, now);
    if (action === 'dead') return { deadAt: now, probes };
    if (action === 'probe') {
      probes.push(now);
      probedAt = now;
      if (answers) times.push(now + 1);
    }
    now += delayMs;
  }
  return { deadAt: null, probes };
}

test('a silent hub is dead after 15 s, less than the 20 s promised', () => {
  expect(run([], false, 60_000)).toEqual({ deadAt: 15_000, probes: [7_000] });
  expect(IDLE_MS + ANSWER_MS).toBeLessThan(20_000);
});

test('a hub that answers lives, at one probe for each 7 s of silence', () => {
  const { deadAt, probes } = run([], true, 100_000);
  expect(deadAt).toBeNull();
  expect(probes.length).toBeLessThanOrEqual(14);
});

test('whenever the hub falls silent, it is noticed within 15 s, and not before', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 6_900 }), { maxLength: 30 }), (gaps) => {
      let at = 0;
      const heard = gaps.map((gap) => {
        at += gap;
        return at;
      });
      const { deadAt } = run(heard, false, at + 60_000);
      expect(deadAt).not.toBeNull();
      expect(deadAt ?? 0).toBeGreaterThanOrEqual(at + IDLE_MS);
      expect(deadAt ?? 0).toBeLessThanOrEqual(at + IDLE_MS + ANSWER_MS);
    }),
  );
});
