import type { StatusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { type CounterSample, cardCounters, counterProblems } from './counters-check.ts';

function sample(frames: number, kernel: number, counters: Record<string, number> = {}): CounterSample {
  const tap: StatusReport['tap'] = {
    ...{ name: 'kith0', state: 'up', mtu: 1360, rx_frames: frames, tx_frames: frames, dropped: 0 },
  };
  const status: StatusReport = {
    ...{ schema: 1, network: 'demo', members: 1, links: [], counters, tap },
    node: { uid: null, jid: 'n1@vpn.test', ip4: null, mac: null, controller_uptime_ms: 1 },
    hub: { state: 'online', server: '', since_ms: 0, detail: null, retry_in_ms: null },
    tincan: { running: true, instance: 'one', detail: null },
  };
  return {
    instance: 'one',
    before: { sent: kernel, received: kernel },
    status,
    after: { sent: kernel, received: kernel },
  };
}

test('counts of the kernel and of Kith that agree are fine, also while a batch is under way', () => {
  expect(counterProblems(undefined, sample(1000, 1000))).toEqual([]);
  expect(counterProblems(undefined, sample(1010, 1000))).toEqual([]);
});

test('frames that one counts and the other does not are told', () => {
  expect(counterProblems(undefined, sample(1000, 2000))).toHaveLength(2);
});

test('a counter that goes back is told; a level may, and another instance counts anew', () => {
  const now = sample(5, 5, { hub_sessions: 1, members: 2 });
  expect(counterProblems(sample(5, 5, { hub_sessions: 2, members: 3 }), now)).toEqual([
    'counter hub_sessions went from 2 back to 1',
  ]);
  const other = { ...sample(5, 5, { hub_sessions: 2 }), instance: 'other' };
  expect(counterProblems(other, now)).toEqual([]);
});

test('the card is found among the others', () => {
  const text = `Inter-|   Receive
    lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0
 kith0:  500  10    0    0    0     0          0         0   700   20    0    0    0     0       0          0
`;
  expect(cardCounters(text, 'kith0')).toEqual({ received: 10, sent: 20 });
  expect(cardCounters(text, 'kith1')).toBeUndefined();
});
