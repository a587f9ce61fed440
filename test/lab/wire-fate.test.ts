import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Dice, type Fate, type Impairment, IS_LATE, IS_LOST, PASSES } from './wire-fate.ts';

const impairment = (loss: number, reorder: number): Impairment => ({
  delayMs: 0,
  loss,
  reorder,
  reorderMs: 1,
});

function fates(dice: Dice, count: number): Fate[] {
  return Array.from({ length: count }, () => dice.throw());
}

test('the same seed gives the same fates', () => {
  const chance = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.integer(), chance, chance, (seed, loss, reorder) => {
      const wire = impairment(loss, reorder);
      expect(fates(new Dice(wire, seed), 200)).toEqual(fates(new Dice(wire, seed), 200));
    }),
  );
});

test('loses and holds back as often as it was told, whatever the seed', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const drawn = fates(new Dice(impairment(0.01, 0.05), seed), 100_000);
      const share = (fate: Fate): number => drawn.filter((one) => one === fate).length / drawn.length;
      // Six standard deviations of 100 000 draws.
      expect(Math.abs(share(IS_LOST) - 0.01)).toBeLessThan(0.002);
      expect(Math.abs(share(IS_LATE) - 0.99 * 0.05)).toBeLessThan(0.0042);
    }),
    { numRuns: 20 },
  );
});

test('a wire without impairment passes everything, one that loses all passes nothing', () => {
  expect(new Set(fates(new Dice(impairment(0, 0), 1), 1000))).toEqual(new Set([PASSES]));
  expect(new Set(fates(new Dice(impairment(1, 1), 1), 1000))).toEqual(new Set([IS_LOST]));
});
