import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LossyFlows } from './lossy-flows.ts';

const MIB = 1024 * 1024;
const sequence = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const size = fc.integer({ min: 1, max: 65_160 });

test('a flow that goes on where it was, or ahead of it, has lost nothing, across the wrap of its numbers too', () => {
  fc.assert(
    fc.property(
      sequence,
      fc.array(fc.record({ size, skipped: fc.nat(100_000) }), { maxLength: 200 }),
      (first, steps) => {
        const flows = new LossyFlows();
        let at = first;
        for (const step of steps) {
          at = (at + step.skipped) | 0;
          expect(flows.note(5, at, step.size)).toBe(false);
          at = (at + step.size) | 0;
        }
      },
    ),
  );
});

test('one that goes back has, until it sent 16 MiB more', () => {
  fc.assert(
    fc.property(sequence, size, fc.integer({ min: 1, max: 60_000 }), (first, bytes, back) => {
      const flows = new LossyFlows();
      flows.note(5, first, 60_000);
      const end = (first + 60_000) | 0;
      expect(flows.note(5, (end - back) | 0, Math.min(back, 1308))).toBe(true);
      let at = end;
      let sent = 0;
      while (flows.note(5, at, bytes)) {
        at = (at + bytes) | 0;
        sent += bytes;
      }
      expect(sent).toBeGreaterThanOrEqual(16 * MIB);
      expect(sent).toBeLessThan(16 * MIB + bytes);
    }),
    { numRuns: 20 },
  );
});

test('what one flow repeats is not held against another', () => {
  const flows = new LossyFlows();
  for (const key of [1, 2]) flows.note(key, 1_000, 1_000);
  expect(flows.note(1, 1_500, 500)).toBe(true);
  expect(flows.note(2, 2_000, 1_000)).toBe(false);
  expect(flows.note(1, 2_000, 1_000)).toBe(true);
});

test('of flows that meet in one place the later one begins anew', () => {
  const flows = new LossyFlows();
  for (let key = 1; key <= 2_000; key++) expect(flows.note(key, -key, 1_000)).toBe(false);
});
