import { expect, test } from 'vitest';
import { LinkLiveness } from './link-liveness.ts';

const NEVER = Number.NEGATIVE_INFINITY;

/** Looks four times a second from `from` to `to`, with a direct carrier that last heard the peer at `heardDirectly(now)`. */
function run(
  link: LinkLiveness,
  from: number,
  to: number,
  heardDirectly: (now: number) => number,
  each: (now: number) => void = () => undefined,
): number | undefined {
  for (let now = from; now <= to; now += 250) {
    if (!link.look(now, heardDirectly(now))) return now;
    each(now);
  }
  return undefined;
}

test('a peer that neither way hears is gone after 5 s, suspect after 1.5 s, while data flows', () => {
  const link = new LinkLiveness(0);
  let used = 1;
  link.noteTraffic(used, 0);
  let suspectAt: number | undefined;
  const endedAt = run(
    link,
    250,
    20_000,
    () => NEVER,
    (now) => {
      link.noteTraffic(++used, now);
      if (link.isSuspect) suspectAt ??= now;
    },
  );
  expect(suspectAt).toBe(1_750);
  expect(endedAt).toBe(5_250);
});

test('a link whose channel is silent lives as long as the direct carrier hears the peer, and is suspect for it', () => {
  const link = new LinkLiveness(0);
  let used = 0;
  const flow = (now: number): void => link.noteTraffic(++used, now);
  expect(run(link, 250, 60_000, (now) => now - 100, flow)).toBeUndefined();
  expect(link.isSuspect).toBe(true);
  expect(link.silence(60_000, 59_900)).toBe(100);
  expect(run(link, 60_250, 80_000, () => 60_000, flow)).toBe(62_750);
});

test('a channel that was given up leaves a link that the direct carrier keeps, and none that it does not', () => {
  expect(new LinkLiveness(0).channelLost(1_000, NEVER)).toBe(false);
  const link = new LinkLiveness(0);
  run(link, 250, 30_000, (now) => now - 100);
  expect(link.channelLost(30_000, 29_900)).toBe(true);
  expect(link.look(30_100, 30_050)).toBe(true);
  expect(link.isSuspect).toBe(true);
  expect(run(link, 30_250, 60_000, () => 30_050)).toBe(46_250);
});

test('a link without data is calm, and its channel is pinged each minute while the direct carrier hears the peer', () => {
  const link = new LinkLiveness(0);
  let pings = 0;
  const answer = (now: number): void => {
    const id = link.pingDue(now);
    if (id === undefined) return;
    pings++;
    link.heard(now + 2);
    link.pong(id, now + 2);
  };
  run(link, 250, 40_000, (now) => now - 3_000, answer);
  expect(link.isCalm).toBe(true);
  expect(link.rtt).toBe(2);
  pings = 0;
  expect(run(link, 40_250, 160_000, (now) => now - 3_000, answer)).toBeUndefined();
  expect(pings).toBe(2);
  expect(link.isCalm).toBe(true);
});

test('traffic is what moves its counter', () => {
  const link = new LinkLiveness(0);
  expect(link.idleMs(10_000)).toBeNull();
  link.noteTraffic(5, 10_000);
  link.noteTraffic(5, 11_000);
  expect(link.idleMs(12_000)).toBe(2_000);
});

test('a link is in use for 20 s after the last frame, and not before the first', () => {
  const link = new LinkLiveness(0);
  link.noteTraffic(0, 0);
  expect(link.isInUse(1_000)).toBe(false);
  link.noteTraffic(1, 1_000);
  expect(link.isInUse(21_000)).toBe(true);
  expect(link.isInUse(21_001)).toBe(false);
});
