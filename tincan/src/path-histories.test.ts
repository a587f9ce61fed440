import { expect, test } from 'vitest';
import { PathHistories } from './path-histories.ts';

const uid = (number: number) => number.toString(16).padStart(40, '0');

test('events outlive what added them, and are told with their age', () => {
  const histories = new PathHistories();
  histories.of(uid(1)).add('attempt 1 begins', 1_000);
  histories.of(uid(1)).add('attempt 2 begins', 3_000);
  expect(histories.told(uid(1), 5_000)).toEqual([
    { ago_ms: 4_000, what: 'attempt 1 begins' },
    { ago_ms: 2_000, what: 'attempt 2 begins' },
  ]);
});

test('of a node that nothing happened with nothing is told, and nothing is kept', () => {
  expect(new PathHistories().told(uid(1), 0)).toEqual([]);
});

test('only the last 50 events of a node are kept', () => {
  const histories = new PathHistories();
  for (let at = 0; at < 80; at++) histories.of(uid(1)).add(`event ${at}`, at);
  const told = histories.told(uid(1), 80);
  expect(told).toHaveLength(50);
  expect(told[0]?.what).toBe('event 30');
});

test('the nodes that were quiet longest are forgotten first', () => {
  const histories = new PathHistories();
  for (let node = 0; node < 512; node++) histories.of(uid(node)).add('attempt 1 begins', 0);
  histories.of(uid(0)).add('attempt 2 begins', 1);
  histories.of(uid(512)).add('attempt 1 begins', 1);
  expect(histories.told(uid(0), 2)).toHaveLength(2);
  expect(histories.told(uid(1), 2)).toEqual([]);
});
