import { readFileSync } from 'node:fs';
import { threadsNamed } from '@kith/posix';
import { preload } from 'node-datachannel';
import { expect, test, vi } from 'vitest';
import { LibraryThreads } from './library-threads.ts';

const slackOf = (thread: number | undefined): number =>
  Number(readFileSync(`/proc/${thread}/timerslack_ns`, 'utf8'));

test("the library's timer thread sleeps longer while all is calm, and as before when it is not", async () => {
  preload();
  await vi.waitUntil(() => threadsNamed('SCTP timer').length > 0, { timeout: 5_000 });
  const [thread] = threadsNamed('SCTP timer');
  const before = slackOf(thread);
  const threads = new LibraryThreads();
  threads.setPace('calm');
  const calm = slackOf(thread);
  expect(calm).toBeGreaterThan(10_000_000);
  threads.setPace('resting');
  expect(slackOf(thread)).toBeGreaterThan(calm);
  threads.setPace('busy');
  expect(slackOf(thread)).toBe(before);
});
