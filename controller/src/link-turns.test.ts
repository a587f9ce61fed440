import { expect, test } from 'vitest';
import { LinkTurns } from './link-turns.ts';

test('quick answers let more attempts be under way, up to a bound', () => {
  const turns = new LinkTurns();
  expect([turns.begins, turns.accepts]).toEqual([6, 12]);
  for (let count = 0; count < 8; count++) turns.answered(count * 100, count * 100 + 20);
  expect(turns.begins).toBe(14);
  for (let count = 0; count < 1_000; count++) turns.answered(count, count + 1);
  expect(turns.begins).toBe(32);
});

test('slow answers halve them once for all that was asked before, and leave two', () => {
  const turns = new LinkTurns();
  for (let count = 0; count < 6; count++) turns.answered(1_000 + count, 4_000 + count);
  expect(turns.begins).toBe(3);
  turns.answered(4_500, 9_000);
  expect(turns.begins).toBe(2);
  turns.answered(9_500, 20_000);
  expect(turns.begins).toBe(2);
  // Neither quick nor slow.
  turns.answered(30_000, 31_000);
  expect(turns.begins).toBe(2);
  // Once bitten, it grows slowly.
  for (let count = 0; count < 8; count++) turns.answered(40_000 + count, 40_100);
  expect(turns.begins).toBe(4);
});
