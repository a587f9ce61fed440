import { expect, test } from 'vitest';
import { ChannelLoss } from './channel-loss.ts';

test('a link whose peer the direct carrier does not hear ends with its channel', () => {
  expect(new ChannelLoss().begin(100_000, Number.NEGATIVE_INFINITY)).toBe(false);
  expect(new ChannelLoss().begin(100_000, 83_900)).toBe(false);
});

test('a peer who answers a probe after the channel ended keeps the link, until he answers no more', () => {
  const loss = new ChannelLoss();
  expect(loss.begin(100_000, 95_500)).toBe(true);
  expect(loss.isLost).toBe(true);
  expect(loss.isCarried(102_000, 95_500, false)).toBe(true);
  expect(loss.isCarried(102_000, 100_010, false)).toBe(true);
  expect(loss.isCarried(116_000, 100_010, false)).toBe(true);
  expect(loss.isCarried(116_011, 100_010, false)).toBe(false);
  expect(loss.isCarried(103_000, 100_010, true)).toBe(false);
});

test('a peer who closed on purpose answers nothing: the link ends within 2.5 s, busy or not', () => {
  const loss = new ChannelLoss();
  expect(loss.begin(100_000, 99_900)).toBe(true);
  // The library tells of one end several times.
  expect(loss.begin(101_000, 99_900)).toBe(true);
  expect(loss.isCarried(102_500, 99_900, false)).toBe(true);
  expect(loss.isCarried(102_501, 99_900, false)).toBe(false);
  expect(loss.isCarried(102_501, 99_900, true)).toBe(false);
});

test('a silent channel ends no link whose path is probed in its own, slower time', () => {
  const loss = new ChannelLoss();
  expect(loss.isCarried(100_000, 95_000, false)).toBe(true);
  expect(loss.isCarried(100_000, 95_000, true)).toBe(false);
  expect(loss.isLost).toBe(false);
});
