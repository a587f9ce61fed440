import { createLogger, monotonicMs } from '@kith/base';
import type { SecurityTerms } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LinkWatch } from './link-watch.ts';
import { PeerTable } from './peer-table.ts';

const TERMS: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };
const uidOf = (n: number): string => `${n}`.padStart(40, '0');

let peers: PeerTable;
let idle: Map<string, number | null>;
let asked: number;
let watch: LinkWatch;

function start(links: { when: 'proactive' | 'on-demand'; idle_s: number; max: number }): void {
  watch = new LinkWatch({
    links,
    peers,
    tincan: {
      down: null,
      getState: () => {
        asked++;
        return Promise.resolve({
          peers: [...idle].map(([uid, last_traffic_ms]) => ({ uid, last_traffic_ms })),
        });
      },
    },
    log: createLogger('test', 'silent'),
    rest: (peer, reason) => peer.machine.rest(reason),
  });
  watch.start();
}

function online(n: number, idleMs: number | null): void {
  const peer = peers.add(uidOf(n), `user${n}@vpn.test`);
  peer?.machine.adopt(1, true, monotonicMs());
  idle.set(uidOf(n), idleMs);
}

const states = () => [...peers.values()].map(({ machine }) => machine.state.is);

beforeEach(() => {
  vi.useFakeTimers();
  peers = new PeerTable(TERMS, true);
  idle = new Map();
  asked = 0;
});

afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

test('on demand: a link without packets for the idle time is given up, one with packets is not', async () => {
  start({ when: 'on-demand', idle_s: 60, max: 10 });
  online(1, null);
  online(2, 100);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(states()).toEqual(['online', 'online']);
  await vi.advanceTimersByTimeAsync(16_000);
  expect(states()).toEqual(['idle', 'online']);
  expect(watch.counters.links_rested).toBe(1);
});

test('proactive links are not measured while there is room, and never end for being idle', async () => {
  start({ when: 'proactive', idle_s: 1, max: 10 });
  online(1, null);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(states()).toEqual(['online']);
  expect(asked).toBe(0);
});

test('at the limit a wanted link is let in for the least used one, which then makes room', async () => {
  start({ when: 'proactive', idle_s: 600, max: 2 });
  online(1, 90_000);
  online(2, 0);
  const third = peers.add(uidOf(3), 'user3@vpn.test');
  if (third === undefined) throw new Error('no room in the table');
  expect(watch.admits(third, monotonicMs())).toBe(false);
  expect(watch.counters.links_beyond_limit).toBe(1);
  // Links that were used lately, or are young, are not given up.
  await vi.advanceTimersByTimeAsync(30_000);
  idle.set(uidOf(1), 120_000);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(watch.admits(third, monotonicMs())).toBe(true);
  expect(watch.hasSpareRoom()).toBe(false);
  third.machine.adopt(1, true, monotonicMs());
  idle.set(uidOf(3), 0);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(states()).toEqual(['idle', 'online', 'online']);
});
