import { expect, test } from 'vitest';
import { EAGAIN } from './errno.ts';
import { readInto, writeFrom } from './file.ts';
import { addressOf, stableBytes } from './memory.ts';
import { socketPair } from './socket-pair.ts';

test('what is written to one end comes out of the other piece by piece, and nothing waits', () => {
  const pair = socketPair();
  const out = stableBytes(8);
  const into = stableBytes(64);
  out.set([1, 2, 3, 4, 5, 6, 7, 8]);
  try {
    expect(writeFrom(pair.fds[0], addressOf(out), 8)).toBe(8);
    expect(writeFrom(pair.fds[0], addressOf(out), 3)).toBe(3);
    expect(readInto(pair.fds[1], addressOf(into), 64)).toBe(8);
    expect(readInto(pair.fds[1], addressOf(into), 64)).toBe(3);
    expect([...into.subarray(0, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(readInto(pair.fds[1], addressOf(into), 64)).toBe(-EAGAIN);
  } finally {
    pair.close();
  }
});
