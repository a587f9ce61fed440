import { expect, test } from 'vitest';
import { findLeaks, type Sample, WARM_UP_MS } from './trend.ts';

function samples(seconds: number, of: (second: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: seconds }, (_, second) => ({
    ...{ at: second * 1000, rss_mb: 100, fds: 30, threads: 10 },
    ...of(second),
  }));
}

test('what grows for ever is a leak', () => {
  expect(
    findLeaks(
      samples(600, (second) => ({ fds: 30 + Math.floor(second / 5) })),
      0,
    ),
  ).toMatchObject([{ resource: 'fds' }]);
  expect(
    findLeaks(
      samples(600, (second) => ({ rss_mb: 100 + second / 4 })),
      0,
    ),
  ).toMatchObject([{ resource: 'rss_mb' }]);
});

test('threads and sockets that come with the first links are none, ever more of them are', () => {
  const withLinks = samples(600, (second) =>
    second < 300 ? { threads: 13, fds: 35 } : { threads: 19, fds: 54 },
  );
  expect(findLeaks(withLinks, 0)).toEqual([]);
  const evermore = samples(600, (second) => ({ threads: 13 + Math.floor(second / 20) }));
  expect(findLeaks(evermore, 0)).toMatchObject([{ resource: 'threads' }]);
});

test('what comes back down is none, however high its peaks', () => {
  expect(
    findLeaks(
      samples(600, (second) => ({ fds: 30 + (second % 60) })),
      0,
    ),
  ).toEqual([]);
});

test('what a start takes is none, and a short life says nothing', () => {
  const start = samples(600, (second) => ({ rss_mb: Math.min(100, second * 2) }));
  expect(findLeaks(start, 0)).toEqual([]);
  const short = samples(WARM_UP_MS / 1000 + 30, (second) => ({ rss_mb: second * 10 }));
  expect(findLeaks(short, 0)).toEqual([]);
});
