import fs from 'node:fs';
import { expect, test } from 'vitest';
import { ThreadScheduling, yieldTurn } from './scheduler.ts';

/** Field 41 of /proc/thread-self/stat: the policy; counted behind the name, which may hold anything. */
function policyOfThisThread(): number {
  const stat = fs.readFileSync('/proc/thread-self/stat', 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
}

test('a thread becomes a batch thread and an ordinary one again', () => {
  const scheduling = new ThreadScheduling();
  expect(policyOfThisThread()).toBe(0);
  expect(scheduling.setBatch(true)).toBe(true);
  expect(scheduling.isBatch).toBe(true);
  expect(policyOfThisThread()).toBe(3);
  yieldTurn();
  // A policy that somebody else has chosen is not ours to change.
  const other = new ThreadScheduling();
  expect(other.setBatch(false)).toBe(false);
  expect(policyOfThisThread()).toBe(3);
  expect(scheduling.setBatch(false)).toBe(true);
  expect(policyOfThisThread()).toBe(0);
});
