import { expect, test } from 'vitest';
import { nextAggregate } from './aggregation.ts';
import {
  CARRIED_PING_INTERVAL_MS,
  CARRIED_SUSPECT_AFTER_MS,
  CHANGED_SUSPECT_AFTER_MS,
  CHANNEL_SUSPECT_AFTER_MS,
  DEAD_AFTER_MS,
  DOUBT_DEAD_AFTER_MS,
  DOUBT_SUSPECT_AFTER_MS,
  IDLE_DEAD_AFTER_MS,
  IDLE_PING_INTERVAL_MS,
  IDLE_SUSPECT_AFTER_MS,
  Liveness,
  PING_INTERVAL_MS,
  SUSPECT_AFTER_MS,
} from './liveness.ts';

test('pings are due once per interval and measure the round trip', () => {
  const liveness = new Liveness(0);
  const id = liveness.pingDue(0);
  expect(id).toBeDefined();
  expect(liveness.pingDue(PING_INTERVAL_MS - 1)).toBeUndefined();
  liveness.pong(id ?? 0, 12);
  expect(liveness.rtt).toBe(12);
  expect(liveness.pingDue(PING_INTERVAL_MS)).toBeDefined();
});

test('a pong that nobody asked for measures nothing', () => {
  const liveness = new Liveness(0);
  liveness.pong(99, 5);
  expect(liveness.rtt).toBeNull();
});

test('a peer is dead after the time-out of silence, and not before', () => {
  const liveness = new Liveness(0);
  liveness.heard(100);
  expect(liveness.isDead(100 + DEAD_AFTER_MS)).toBe(false);
  expect(liveness.isDead(101 + DEAD_AFTER_MS)).toBe(true);
});

test('an idle link is probed seldom and given up late', () => {
  const liveness = new Liveness(0);
  expect(liveness.pingDue(0)).toBeDefined();
  liveness.setIdle(true, 0);
  expect(liveness.pingDue(IDLE_PING_INTERVAL_MS - 1)).toBeUndefined();
  expect(liveness.pingDue(IDLE_PING_INTERVAL_MS)).toBeDefined();
  expect(liveness.isDead(IDLE_DEAD_AFTER_MS)).toBe(false);
  expect(liveness.isDead(IDLE_DEAD_AFTER_MS + 1)).toBe(true);
});

test('a link that begins to be used is probed at once, and has its whole time to answer', () => {
  const liveness = new Liveness(0);
  liveness.setIdle(true, 0);
  liveness.pingDue(10_000);
  liveness.setIdle(false, 14_000);
  expect(liveness.pingDue(14_000)).toBeDefined();
  expect(liveness.isDead(14_000 + DEAD_AFTER_MS)).toBe(false);
  expect(liveness.isDead(14_001 + DEAD_AFTER_MS)).toBe(true);
});

test('an idle link whose peer the direct carrier hears is pinged seldom, and its channel is not suspected for that', () => {
  const liveness = new Liveness(0);
  liveness.pingDue(0);
  let pings = 0;
  for (let now = 1_000; now <= 60_000; now += 1_000) {
    liveness.setIdle(true, now, now - 9_000);
    if (liveness.pingDue(now) !== undefined) {
      pings++;
      liveness.heard(now + 1);
    }
    expect(liveness.isSuspect(now, now - 9_000)).toBe(false);
    expect(liveness.isIdle).toBe(true);
  }
  expect(pings).toBe(60_000 / CARRIED_PING_INTERVAL_MS);
});

test('when the direct carrier goes silent as well, the channel is asked at once and has its time to answer', () => {
  const liveness = new Liveness(0);
  liveness.pingDue(0);
  const heardAt = 13_000;
  const look = (now: number): void => liveness.setIdle(true, now, heardAt);
  look(14_000);
  expect(liveness.pingDue(14_000)).toBeUndefined();
  const silentAt = heardAt + CARRIED_SUSPECT_AFTER_MS + 1;
  look(silentAt);
  expect(liveness.isIdle).toBe(false);
  expect(liveness.pingDue(silentAt)).toBeDefined();
  expect(liveness.isSuspect(silentAt + DOUBT_SUSPECT_AFTER_MS, heardAt)).toBe(false);
  expect(liveness.isSuspect(silentAt + DOUBT_SUSPECT_AFTER_MS + 1, heardAt)).toBe(true);
  expect(liveness.isDead(silentAt + DOUBT_DEAD_AFTER_MS)).toBe(false);
  expect(liveness.isDead(silentAt + DOUBT_DEAD_AFTER_MS + 1)).toBe(true);
  liveness.heard(silentAt + 10);
  look(silentAt + 250);
  expect(liveness.isIdle).toBe(true);
  expect(liveness.pingDue(silentAt + 250 + PING_INTERVAL_MS)).toBeUndefined();
});

test('a stream that begins on a link that was carried so ends the seldom pings', () => {
  const liveness = new Liveness(0);
  liveness.pingDue(0);
  liveness.setIdle(true, 1_000, 900);
  liveness.setIdle(false, 2_000, 1_900);
  expect(liveness.pingDue(2_000)).toBeDefined();
  liveness.heard(2_010);
  liveness.setIdle(false, 2_250, 2_200);
  expect(liveness.pingDue(2_250)).toBeUndefined();
  expect(liveness.pingDue(2_000 + PING_INTERVAL_MS)).toBeDefined();
});

test('aggregation falls to single frames under loss and grows back without', () => {
  let size = 16_384;
  for (let i = 0; i < 10; i++) size = nextAggregate(size, 20);
  expect(size).toBe(0);
  for (let i = 0; i < 10; i++) size = nextAggregate(size, 0);
  expect(size).toBe(16_384);
  expect(nextAggregate(4_096, 1)).toBe(4_096);
});

test('a silent link is suspect before it is dead, and no more when it is heard again', () => {
  const liveness = new Liveness(0);
  expect(liveness.isSuspect(SUSPECT_AFTER_MS)).toBe(false);
  expect(liveness.isSuspect(SUSPECT_AFTER_MS + 1)).toBe(true);
  expect(SUSPECT_AFTER_MS).toBeLessThan(DEAD_AFTER_MS);
  liveness.heard(2_000);
  expect(liveness.isSuspect(2_001)).toBe(false);
});

test('what is heard elsewhere clears a link of suspicion, but not its channel for ever', () => {
  const liveness = new Liveness(0);
  expect(liveness.isSuspect(CHANNEL_SUSPECT_AFTER_MS, CHANNEL_SUSPECT_AFTER_MS - 100)).toBe(false);
  expect(liveness.isSuspect(CHANNEL_SUSPECT_AFTER_MS + 1, CHANNEL_SUSPECT_AFTER_MS)).toBe(true);
});

test('after a change of the network a ping is due at once, and its answer is waited for only shortly', () => {
  const liveness = new Liveness(0);
  liveness.pingDue(0);
  liveness.heard(500);
  liveness.networkChanged(600);
  const ping = liveness.pingDue(600);
  expect(ping).toBeDefined();
  expect(liveness.isSuspect(600 + CHANGED_SUSPECT_AFTER_MS)).toBe(false);
  expect(liveness.isSuspect(601 + CHANGED_SUSPECT_AFTER_MS)).toBe(true);
  liveness.heard(1_100);
  expect(liveness.isSuspect(1_200)).toBe(false);
});

test('a far peer has three round trips for the answer', () => {
  const liveness = new Liveness(0);
  liveness.pong(liveness.pingDue(0) ?? 0, 300);
  liveness.heard(300);
  liveness.networkChanged(1_000);
  expect(liveness.isSuspect(1_900)).toBe(false);
  expect(liveness.isSuspect(1_901)).toBe(true);
});

test('an idle link is suspect after two of its pings had no answer', () => {
  const liveness = new Liveness(0);
  liveness.setIdle(true, 0);
  expect(liveness.isSuspect(IDLE_SUSPECT_AFTER_MS)).toBe(false);
  expect(liveness.isSuspect(IDLE_SUSPECT_AFTER_MS + 1)).toBe(true);
  expect(IDLE_SUSPECT_AFTER_MS).toBeLessThan(IDLE_DEAD_AFTER_MS);
});

test('silence while this process stood still does not make a link suspect', () => {
  const liveness = new Liveness(0);
  liveness.setIdle(false, 250);
  liveness.heard(300);
  liveness.setIdle(false, 3_000, Number.NEGATIVE_INFINITY, 500);
  expect(liveness.isSuspect(3_000)).toBe(false);
  expect(liveness.isSuspect(3_001 + SUSPECT_AFTER_MS)).toBe(true);
});
