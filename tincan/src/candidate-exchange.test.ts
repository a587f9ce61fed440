import { createLogger } from '@kith/base';
import { type Candidate, MAX_CANDIDATES, parseCandidate } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CandidateExchange, type IceRelay } from './candidate-exchange.ts';
import type { SelectedPair } from './channel/peer-session.ts';
import { EventLog } from './direct/event-log.ts';

const candidate = (ip: string, port = 5000, type = 'local'): Candidate =>
  parseCandidate(`0:1:udp:${ip}:${port}:1:abcd:0123456789012345678901:${type}::0:1`);

let known: boolean[];
let checked: Candidate[];
let exchange: CandidateExchange;
let history: EventLog;

function newExchange(relay?: IceRelay): CandidateExchange {
  return new CandidateExchange(
    {
      known: (complete) => void known.push(complete),
      check: (one) => {
        if (one.port === 1) throw new Error('the library refuses it');
        checked.push(one);
      },
      isExcluded: (ip) => ip === '172.31.0.1',
      relayLost: () => undefined,
    },
    { relay, history, log: createLogger('exchange', 'silent') },
  );
}

beforeEach(() => {
  vi.useFakeTimers();
  known = [];
  checked = [];
  history = new EventLog();
  exchange = newExchange();
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

/** A TURN server that does what the test says. */
class FakeRelay {
  events: Parameters<IceRelay['listen']>[0] | undefined;
  icePort: number | undefined;
  readonly reached: string[] = [];
  readonly stream = undefined;
  dropped = 0;
  isClosed = false;

  isNeeded = true;

  notNeeded(): void {
    this.isNeeded = false;
  }

  listen(events: Parameters<IceRelay['listen']>[0]): void {
    this.events = events;
  }
  setIcePort(port: number): void {
    this.icePort = port;
  }
  reach({ ip }: Candidate): void {
    this.reached.push(ip);
  }
  named(pair: SelectedPair | null): SelectedPair | null {
    return pair?.remote === '127.0.0.1:9' ? { ...pair, localType: 'relay' } : pair;
  }
  close(): void {
    this.isClosed = true;
  }
}

const ICE = { ufrag: 'efgh', pwd: '9876543210987654321098' };
const RELAYED = { ip: '198.51.100.1', port: 61_000, type: 'relay', priority: 1, foundation: 'R' } as const;
const pairTo = (remote: string): SelectedPair => ({
  ...{ local: '10.0.0.1:5000', remote, localType: 'local', remoteType: 'local' },
});

test('an address at a TURN server is a candidate of ours, and there are no more once ICE and the servers are done', () => {
  const relay = new FakeRelay();
  exchange = newExchange(relay);
  exchange.start(ICE);
  exchange.addLocal(candidate('10.0.0.1', 5_001));
  expect(relay.icePort).toBe(5_001);
  exchange.gathered();
  vi.advanceTimersByTime(5);
  expect(known).toEqual([false]);
  relay.events?.allocated(RELAYED);
  relay.events?.settled([]);
  expect(known).toEqual([false, true]);
  expect(exchange.local()).toContain(`:198.51.100.1:61000:1:${ICE.ufrag}:${ICE.pwd}:relay:`);
  expect(history.all().map(({ what }) => what)).toEqual(['our addresses: 1 host, 1 relay']);
});

test('why no server gives an address is part of the story', () => {
  const relay = new FakeRelay();
  exchange = newExchange(relay);
  exchange.start(ICE);
  relay.events?.settled(['udp 198.51.100.1:3478: the credentials are refused']);
  expect(history.all().map(({ what }) => what)).toEqual([
    'no address at the TURN server udp 198.51.100.1:3478: the credentials are refused',
  ]);
});

test('servers hear of the peer at once; what they reach waits for the head start as all else does', () => {
  const relay = new FakeRelay();
  exchange = newExchange(relay);
  exchange.start(ICE);
  exchange.giveHeadStart();
  exchange.addRemote([candidate('10.0.0.2')]);
  expect(relay.reached).toEqual(['10.0.0.2']);
  relay.events?.detour(candidate('127.0.0.1', 9, 'relay'));
  expect(checked).toEqual([]);
  vi.advanceTimersByTime(100);
  expect(checked.map(({ ip }) => ip)).toEqual(['10.0.0.2', '127.0.0.1']);
});

test('an address that ICE goes without is given back, one that it goes by is kept', () => {
  const [spare, used] = [new FakeRelay(), new FakeRelay()];
  exchange = newExchange(spare);
  exchange.online(1_000);
  expect(spare.isNeeded).toBe(false);
  exchange.tick(3_999, () => pairTo('10.0.0.2:5000'));
  expect(spare.isClosed).toBe(false);
  spare.dropped = 3;
  exchange.tick(4_000, () => pairTo('10.0.0.2:5000'));
  expect(spare.isClosed).toBe(true);
  expect(exchange.relayDropped).toBe(3);

  exchange = newExchange(used);
  exchange.online(1_000);
  exchange.tick(4_000, () => pairTo('127.0.0.1:9'));
  expect(used.isClosed).toBe(false);
  exchange.tick(10_000, () => pairTo('10.0.0.2:5000'));
  expect(used.isClosed).toBe(true);
});
