import { createLogger } from '@kith/base';
import type { IceServer } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IceServers } from './ice-servers.ts';
import type { IceServer as HubIceServer } from './xmpp/index.ts';

const LOG = createLogger('test', 'silent');
const NOTHING = { stun: [], turn: [], from_hub: true };
const LIFE_MS = 90_000;

/** What the hub gives next: services, an error, or no answer. */
let answer: HubIceServer[] | (() => HubIceServer[]) | Error | 'silence';
let questions: number;
let settled: number;
let servers: IceServers;

const discover = (): Promise<HubIceServer[]> => {
  questions++;
  if (answer === 'silence') return new Promise(() => {});
  if (answer instanceof Error) return Promise.reject(answer);
  return Promise.resolve(typeof answer === 'function' ? answer() : answer);
};

function make(
  config: Partial<ConstructorParameters<typeof IceServers>[0]> = {},
  outside: (list: readonly IceServer[]) => Promise<IceServer[]> = async (list) => [...list],
): IceServers {
  servers = new IceServers({ ...NOTHING, ...config }, LOG, outside, () => void settled++);
  return servers;
}

/** TURN by UDP with credentials that were given now. */
const turn = (username: string): HubIceServer => ({
  ...{ type: 'turn', host: '203.0.113.1', port: 3478, transport: 'udp', username, password: 'secret' },
  expires: Date.now() + LIFE_MS,
});

const users = (): (string | undefined)[] => servers.current().map(({ username }) => username);

beforeEach(() => {
  vi.useFakeTimers();
  [answer, questions, settled] = [[], 0, 0];
});

afterEach(() => {
  servers.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('credentials are asked for anew while a third of their life is left, for as long as the node runs', async () => {
  answer = [turn('first')];
  make().refresh(discover);
  await vi.advanceTimersByTimeAsync(0);
  expect([users(), settled]).toEqual([['first'], 1]);
  for (let round = 2; round < 20; round++) {
    await vi.advanceTimersByTimeAsync((LIFE_MS * 2) / 3 - 1_000);
    answer = () => [turn(`round ${round}`)];
    expect(questions).toBe(round - 1);
    // Timers come a millisecond late where the moment is a fraction of one.
    await vi.advanceTimersByTimeAsync(1_002);
    expect([questions, users()]).toEqual([round, [`round ${round}`]]);
  }
  expect(settled).toBe(1);
});

test('a hub that gives no answer any more leaves the last credentials in use, and is asked again before they end', async () => {
  answer = [turn('first')];
  make().refresh(discover);
  await vi.advanceTimersByTimeAsync(0);
  answer = new Error('offline');
  await vi.advanceTimersByTimeAsync((LIFE_MS * 2) / 3 + 1);
  expect([questions, users()]).toEqual([2, ['first']]);
  answer = [turn('second')];
  await vi.advanceTimersByTimeAsync(LIFE_MS / 3 - 2);
  expect([questions, users()]).toEqual([3, ['second']]);
});

test('a new session asks at once, and answers to an older question come too late', async () => {
  let late: (list: HubIceServer[]) => void = () => {};
  make().refresh(
    () =>
      new Promise((resolve) => {
        late = resolve;
      }),
  );
  answer = [turn('new')];
  servers.refresh(discover);
  await vi.advanceTimersByTimeAsync(0);
  late([turn('old')]);
  await vi.advanceTimersByTimeAsync(0);
  expect(users()).toEqual(['new']);
  // One round of questions, not two.
  await vi.advanceTimersByTimeAsync((LIFE_MS * 2) / 3 + 1);
  expect(questions).toBe(2);
});

test('links wait half a second for the first answer and no longer, and are let go once', async () => {
  answer = 'silence';
  make({ stun: ['203.0.113.9'] }).refresh(discover);
  await vi.advanceTimersByTimeAsync(499);
  expect(settled).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(settled).toBe(1);
  answer = [turn('late')];
  servers.refresh(discover);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(settled).toBe(1);
  expect(servers.current().map(({ host }) => host)).toEqual(['203.0.113.9', '203.0.113.1']);
});

test('servers of the config come first, with the port that is usual; without the hub nobody is asked', async () => {
  const turnConfig = { server: '[2001:db8::1]:443', transport: 'tls' as const, username: 'u', password: 'p' };
  make({ stun: ['stun.example.org'], turn: [turnConfig], from_hub: false }).refresh(discover);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([questions, settled]).toEqual([0, 1]);
  expect(servers.current()).toEqual([
    { type: 'stun', host: 'stun.example.org', port: 3478 },
    { type: 'turn', host: '2001:db8::1', port: 443, transport: 'tls', username: 'u', password: 'p' },
  ]);
});

test('what nobody here speaks is left out of what the hub names, and TURNS is TURN over TLS', async () => {
  const at = { host: '203.0.113.1', port: 1 };
  answer = [
    { type: 'stun', ...at, transport: 'tcp' },
    { type: 'stun', ...at, transport: 'udp' },
    { type: 'turns', ...at, transport: 'udp' },
    { type: 'turns', ...at, transport: 'tcp', username: 'u', password: 'p' },
    { type: 'turn', ...at, transport: 'tcp' },
  ];
  make().refresh(discover);
  await vi.advanceTimersByTimeAsync(0);
  expect(servers.current()).toEqual([
    { type: 'stun', ...at },
    { type: 'turn', ...at, transport: 'tls', username: 'u', password: 'p' },
    { type: 'turn', ...at, transport: 'tcp' },
  ]);
});

test('servers inside the network are left out, of the config and of the hub', async () => {
  answer = [turn('u'), { ...turn('inside'), host: '172.31.0.9' }];
  const outside = async (list: readonly IceServer[]): Promise<IceServer[]> =>
    list.filter(({ host }) => !host.startsWith('172.31.'));
  make({ stun: ['172.31.0.8', '203.0.113.9'] }, outside).refresh(discover);
  await vi.advanceTimersByTimeAsync(0);
  expect(servers.current().map(({ host }) => host)).toEqual(['203.0.113.9', '203.0.113.1']);
});

test('however many the hub names, the list is bounded', async () => {
  answer = Array.from({ length: 500 }, (_, index) => ({ ...turn('u'), port: index + 1 }));
  make().refresh(discover);
  await vi.advanceTimersByTimeAsync(0);
  expect(servers.current().length).toBeGreaterThan(0);
  expect(servers.current().length).toBeLessThan(100);
});

test('after the end nothing is asked, and an answer that was under way changes nothing', async () => {
  let late: (list: HubIceServer[]) => void = () => {};
  make().refresh(
    () =>
      new Promise((resolve) => {
        late = resolve;
      }),
  );
  servers.stop();
  late([turn('late')]);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect([servers.current(), questions, settled]).toEqual([[], 0, 0]);
});
