import { expect, test } from 'vitest';
import { RelayMemory } from './relay-memory.ts';

test('UDP gets a head start in a network that nobody knows', () => {
  expect(new RelayMemory().graceMs(1_000)).toBe(150);
});

test('where only streams worked they are tried at once, where UDP worked it gets more time', () => {
  const memory = new RelayMemory();
  memory.streamWorked('tls a:443', 1_000);
  expect(memory.graceMs(2_000)).toBe(0);
  memory.udpWorked(3_000);
  expect(memory.graceMs(4_000)).toBe(700);
  memory.streamWorked('tls a:443', 5_000);
  expect(memory.graceMs(6_000)).toBe(0);
});

test('what was learned is forgotten after ten minutes', () => {
  const memory = new RelayMemory();
  memory.streamWorked('tls a:443', 0);
  expect(memory.graceMs(600_001)).toBe(150);
});

test('the server that worked last goes first', () => {
  const memory = new RelayMemory();
  memory.streamWorked('a', 0);
  memory.streamWorked('b', 1);
  memory.streamWorked('a', 2);
  expect(['c', 'b', 'a'].sort((x, y) => memory.rank(x) - memory.rank(y))).toEqual(['a', 'b', 'c']);
});

test('a thousand servers do not grow it', () => {
  const memory = new RelayMemory();
  for (let i = 0; i < 1_000; i++) memory.streamWorked(`server ${i}`, i);
  expect(memory.rank('server 0')).toBe(0);
  expect(memory.rank('server 999')).toBeLessThan(memory.rank('server 998'));
});
