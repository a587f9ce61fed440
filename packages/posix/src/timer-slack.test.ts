import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isThreadNamed, setTimerSlack, threadsNamed } from './timer-slack.ts';

test('a thread is found by its name, gets a slack, and its own again', () => {
  const own = process.pid;
  const name = readFileSync(`/proc/self/task/${own}/comm`, 'utf8').trimEnd();
  expect(threadsNamed(name)).toContain(own);
  expect(threadsNamed('no such thread')).toEqual([]);
  expect(isThreadNamed(own, name)).toBe(true);
  expect(isThreadNamed(own, 'no such thread')).toBe(false);
  expect(isThreadNamed(2 ** 22 + 1, name)).toBe(false);
  const slack = (): string => readFileSync(`/proc/${own}/timerslack_ns`, 'utf8').trim();
  const before = slack();
  expect(setTimerSlack(own, 7_000_000)).toBe(true);
  expect(slack()).toBe('7000000');
  expect(setTimerSlack(own, 0)).toBe(true);
  expect(slack()).toBe(before);
});

test('a thread that is gone gets none', () => {
  // Larger than the kernel's largest id, 2^22 (PID_MAX_LIMIT).
  expect(setTimerSlack(2 ** 22 + 1, 1_000)).toBe(false);
});
