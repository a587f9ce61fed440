import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterLoss, FRESH_MEMORY, type LossKind } from './reconnect-policy.ts';

const HOUR = 3_600_000;
const half = () => 0.5;

/** Waits after a run of losses of one kind, each after `onlineMs` of being online. */
function waits(kind: LossKind, count: number, onlineMs: number, random: () => number = half): number[] {
  let memory = FRESH_MEMORY;
  return Array.from({ length: count }, () => {
    const step = afterLoss(memory, kind, onlineMs, random);
    memory = step.memory;
    return step.waitMs;
  });
}

test('a lost connection is tried again within half a second, then ever more slowly up to half a minute', () => {
  expect(waits('lost', 9, 0, () => 1)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect(waits('lost', 3, 0, () => 0)).toEqual([250, 500, 1000]);
});

test('a good session starts the count anew, one that fell at once does not', () => {
  expect(waits('lost', 4, 30_000, () => 1)).toEqual([500, 500, 500, 500]);
  expect(waits('lost', 4, 5_000, () => 1)).toEqual([500, 1000, 2000, 4000]);
});

test('refused credentials are tried at most 8 times in an hour, so that fail2ban lets others in', () => {
  const list = waits('refused', 50, 0);
  expect(list.slice(0, 6)).toEqual([60_000, 120_000, 240_000, 480_000, 900_000, 900_000]);
  let at = 0;
  const tries = list.filter((wait) => {
    at += wait;
    return at <= HOUR;
  });
  // And the try that was refused first.
  expect(1 + tries.length).toBe(8);
});

test('two instances of one resource do not throw each other out for ever', () => {
  // Each takes the resource when its wait is over, which throws the other out.
  const memory = [FRESH_MEMORY, FRESH_MEMORY];
  let clock = 0;
  let holder = 0;
  let since = 0;
  let kicks = 0;
  while (clock < 24 * HOUR) {
    const step = afterLoss(memory[holder] ?? FRESH_MEMORY, 'conflict', clock - since, half);
    memory[holder] = step.memory;
    holder = 1 - holder;
    since = clock;
    clock += step.waitMs;
    kicks++;
  }
  expect(kicks).toBeLessThan(24 + 14);
});

test('a conflict is forgotten after two quiet hours', () => {
  const once = afterLoss(FRESH_MEMORY, 'conflict', 1000, half);
  expect(afterLoss(once.memory, 'conflict', 2 * HOUR - 1, half).waitMs).toBe(120_000);
  expect(afterLoss(once.memory, 'conflict', 2 * HOUR, half).waitMs).toBe(60_000);
});

test('every wait is within its bounds, whatever happened before', () => {
  const loss = fc.record({
    kind: fc.constantFrom<LossKind>('lost', 'untrusted', 'refused', 'conflict'),
    onlineMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
    random: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(loss, { maxLength: 200 }), (losses) => {
      let memory = FRESH_MEMORY;
      for (const { kind, onlineMs, random } of losses) {
        const step = afterLoss(memory, kind, onlineMs, () => random);
        const [least, most] = {
          lost: [250, 30_000],
          untrusted: [60_000, 60_000],
          refused: [60_000, 900_000],
          conflict: [60_000, HOUR],
        }[kind];
        expect(step.waitMs).toBeGreaterThanOrEqual(least ?? 0);
        expect(step.waitMs).toBeLessThanOrEqual(most ?? 0);
        memory = step.memory;
      }
    }),
  );
});
