import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LinkTurns, newcomersTime } from './link-turns.ts';

const uidOf = (index: number) => index.toString(16).padStart(40, '0');

/** How many attempts of its own a node may have under way. */
function begins(turns: LinkTurns): number {
  let count = 0;
  while (turns.mayBegin(count)) count++;
  return count;
}

test('quick answers let more attempts be under way, up to a bound', () => {
  const turns = new LinkTurns();
  expect(begins(turns)).toBe(6);
  for (let count = 0; count < 8; count++) turns.answered(count * 100, count * 100 + 20);
  expect(begins(turns)).toBe(14);
  for (let count = 0; count < 1_000; count++) turns.answered(count, count + 1);
  expect(begins(turns)).toBe(32);
});

test('slow answers, and none, halve them once for all that was asked before, and leave two', () => {
  const turns = new LinkTurns();
  for (let count = 0; count < 6; count++) turns.answered(1_000 + count, 4_000 + count);
  expect(begins(turns)).toBe(3);
  turns.unanswered(4_500, 15_000);
  expect(begins(turns)).toBe(2);
  turns.answered(15_500, 20_000);
  expect(begins(turns)).toBe(2);
  // Neither quick nor slow.
  turns.answered(30_000, 31_000);
  expect(begins(turns)).toBe(2);
  // Once bitten, it grows slowly.
  for (let count = 0; count < 8; count++) turns.answered(40_000 + count, 40_100);
  expect(begins(turns)).toBe(4);
});

test('a tincan that is not there is neither quick nor slow', () => {
  const turns = new LinkTurns();
  for (let count = 0; count < 100; count++) turns.unanswered(count, count);
  expect(begins(turns)).toBe(6);
});

test('nodes take their turns in the order in which they came, while there is room', () => {
  const turns = new LinkTurns();
  for (const number of [3, 1, 2, 3]) turns.wait(uidOf(number), 0);
  expect(turns.next(6, 0)).toBeUndefined();
  expect(turns.next(5, 0)).toBe(uidOf(3));
  turns.leave(uidOf(1));
  expect(turns.next(5, 0)).toBe(uidOf(2));
  expect(turns.next(0, 0)).toBeUndefined();
});

test('who is to begin by itself has its time for that, holds up nobody, and may ask for an earlier turn', () => {
  const turns = new LinkTurns();
  expect(turns.nextAt()).toBe(Number.POSITIVE_INFINITY);
  for (const [number, from] of [
    [1, 9_000],
    [2, 8_000],
    [3, 100],
  ] as const) {
    turns.wait(uidOf(number), from);
  }
  expect(turns.next(0, 100)).toBe(uidOf(3));
  expect(turns.next(0, 100)).toBeUndefined();
  expect(turns.nextAt()).toBe(8_000);
  turns.wait(uidOf(1), 200);
  turns.wait(uidOf(1), 20_000);
  expect(turns.nextAt()).toBe(200);
  expect(turns.next(0, 200)).toBe(uidOf(1));
  expect(turns.next(0, 8_000)).toBe(uidOf(2));
});

test('a node that comes is waited for by those who have links to most of a crowd, and by nobody else', () => {
  expect(newcomersTime(12, 13, 0.5)).toBe(0);
  expect(newcomersTime(40, 41, 0)).toBe(10_000);
  expect(newcomersTime(40, 41, 0.999)).toBeLessThan(20_000);
  // Who came itself, or back, has links to few of them.
  expect(newcomersTime(0, 41, 0.5)).toBe(0);
  expect(newcomersTime(20, 41, 0.5)).toBe(0);
});

test('whatever is answered when, two to 32 are begun and twice as many accepted', () => {
  const answer = fc.tuple(fc.boolean(), fc.nat(5_000), fc.nat(5_000));
  fc.assert(
    fc.property(fc.array(answer), (answers) => {
      const turns = new LinkTurns();
      let now = 0;
      for (const [isAnswer, wait, took] of answers) {
        now += wait;
        if (isAnswer) turns.answered(now - took, now);
        else turns.unanswered(now - took, now);
        const count = begins(turns);
        expect(count).toBeGreaterThanOrEqual(2);
        expect(count).toBeLessThanOrEqual(32);
        expect(turns.mayAccept(2 * count - 1)).toBe(true);
        expect(turns.mayAccept(2 * count)).toBe(false);
      }
    }),
  );
});
