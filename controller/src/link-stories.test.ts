import { expect, test } from 'vitest';
import { LinkStories } from './link-stories.ts';

const uid = (number: number) => number.toString(16).padStart(40, '0');

test('the events of both processes make one story in order of time', () => {
  const stories = new LinkStories();
  stories.add(uid(1), 'signed in at the hub', 1_000);
  stories.add(uid(1), 'con_req of attempt 1 was not delivered', 9_000);
  const told = stories.merged(uid(1), [{ ago_ms: 5_000, what: 'attempt 1 begins' }], 10_000);
  expect(told.map(({ what }) => what)).toEqual([
    'signed in at the hub',
    'attempt 1 begins',
    'con_req of attempt 1 was not delivered',
  ]);
});

test('the last 50 are told', () => {
  const stories = new LinkStories();
  for (let at = 0; at < 60; at++) stories.add(uid(1), `event ${at}`, at);
  const told = stories.merged(uid(1), [{ ago_ms: 0, what: 'online' }], 60);
  expect(told).toHaveLength(50);
  expect(told.at(-1)?.what).toBe('online');
});

test('nodes are bounded, the quietest is forgotten', () => {
  const stories = new LinkStories();
  for (let node = 0; node <= 512; node++) stories.add(uid(node), 'signed in', node);
  expect(stories.merged(uid(0), [], 600)).toEqual([]);
  expect(stories.merged(uid(1), [], 600)).toHaveLength(1);
});
