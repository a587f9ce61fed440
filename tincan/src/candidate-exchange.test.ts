import { createLogger } from '@kith/base';
import { type Candidate, MAX_CANDIDATES, parseCandidate } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CandidateExchange } from './candidate-exchange.ts';

const candidate = (ip: string, port = 5000, type = 'local'): Candidate =>
  parseCandidate(`0:1:udp:${ip}:${port}:1:abcd:0123456789012345678901:${type}::0:1`);

let known: boolean[];
let checked: Candidate[];
let exchange: CandidateExchange;

beforeEach(() => {
  vi.useFakeTimers();
  known = [];
  checked = [];
  exchange = new CandidateExchange(
    {
      known: (complete) => void known.push(complete),
      check: (one) => {
        if (one.port === 1) throw new Error('the library refuses it');
        checked.push(one);
      },
      isExcluded: (ip) => ip === '172.31.0.1',
      relayLost: () => undefined,
    },
    undefined,
    createLogger('exchange', 'silent'),
  );
});

afterEach(() => {
  exchange.stop();
  vi.useRealTimers();
});

test('candidates that come together are reported together, and once more when there will be no more', () => {
  exchange.addLocal(candidate('10.0.0.1'));
  exchange.addLocal(candidate('10.0.0.2'));
  expect(known).toEqual([]);
  vi.advanceTimersByTime(5);
  expect(known).toEqual([false]);
  exchange.addLocal(candidate('10.0.0.3'));
  exchange.gathered();
  vi.advanceTimersByTime(100);
  expect(known).toEqual([false, true]);
  expect(exchange.local().split(' ')).toHaveLength(3);
});

test('an excluded address is told to nobody, and of a thousand only as many as a peer reads', () => {
  exchange.addLocal(candidate('172.31.0.1'));
  expect(exchange.local()).toBe('');
  for (let port = 1_000; port < 2_000; port++) exchange.addLocal(candidate('10.0.0.1', port));
  expect(exchange.local().split(' ')).toHaveLength(MAX_CANDIDATES);
});

test('the peer has its head start, then each of its candidates is checked once', () => {
  exchange.giveHeadStart();
  exchange.addRemote([candidate('10.0.0.1'), candidate('10.0.0.1')]);
  expect(checked).toEqual([]);
  vi.advanceTimersByTime(100);
  expect(checked).toEqual([candidate('10.0.0.1')]);
  exchange.addRemote([candidate('10.0.0.1'), candidate('10.0.0.2', 1), candidate('10.0.0.3')]);
  expect(checked.map(({ ip }) => ip)).toEqual(['10.0.0.1', '10.0.0.3']);
});

test('an excluded address is not tried either, whatever a peer says', () => {
  exchange.addRemote([candidate('172.31.0.1'), candidate('10.0.0.1')]);
  expect(checked.map(({ ip }) => ip)).toEqual(['10.0.0.1']);
});

test('what ICE calls reflexive has the name under which it was signalled', () => {
  exchange.addRemote([candidate('10.0.0.1', 5000, 'relay')]);
  const pair = { local: 'x', remote: '10.0.0.1:5000', localType: 'local', remoteType: 'stun' } as const;
  expect(exchange.named(pair)?.remoteType).toBe('relay');
  expect(exchange.named({ ...pair, remote: '10.0.0.1:5001' })?.remoteType).toBe('stun');
  expect(exchange.named(null)).toBeNull();
});
