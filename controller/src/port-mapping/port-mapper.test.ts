import { createLogger, SystemError } from '@kith/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { HomeNetwork } from './home-network.ts';
import type { Mapping } from './mapping.ts';
import { type OuterAddress, PortMapper } from './port-mapper.ts';

const HOME: HomeNetwork = { interface: 'eth0', gateway: '192.168.1.1', localIp: '192.168.1.7' };

let network: HomeNetwork | undefined;
/** What the next try gives. */
let outcome: { ip: string; port: number } | Error;
let searches: number;
let renewals: number;
let released: number[];
let told: (OuterAddress | null)[];
let mapper: PortMapper;

beforeEach(() => {
  vi.useFakeTimers();
  network = HOME;
  outcome = { ip: '203.0.113.5', port: 4_000 };
  [searches, renewals, released, told] = [0, 0, [], []];
  mapper = new PortMapper({
    ...{ log: createLogger('test', 'silent'), clock: () => Date.now(), random: () => 0.5 },
    readNetwork: () => network,
    search: async () => {
      searches++;
      return give();
    },
    changed: (address) => void told.push(address),
  });
});

afterEach(async () => {
  await mapper.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function give(): Promise<Mapping> {
  if (outcome instanceof Error) throw outcome;
  const { ip, port } = outcome;
  return {
    ...{ by: 'pcp', ip, port, lifetimeMs: 3_600_000 },
    renew: async () => {
      renewals++;
      return give();
    },
    release: async () => void released.push(port),
  };
}

test('a mapping is told, renewed every ten minutes, and taken back at the end', async () => {
  mapper.setPort(5_801);
  expect(mapper.status).toMatchObject({ address: null });
  await vi.advanceTimersByTimeAsync(10);
  expect(told).toEqual([{ ip: '203.0.113.5', port: 4_000 }]);
  expect(mapper.status).toEqual({ state: 'mapped', address: '203.0.113.5:4000', by: 'pcp', detail: null });
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect([searches, renewals, told.length]).toEqual([1, 6, 1]);
  await mapper.stop();
  expect(released).toEqual([4_000]);
});

test('another outer address is told', async () => {
  mapper.setPort(5_801);
  await vi.advanceTimersByTimeAsync(10);
  outcome = { ip: '198.51.100.9', port: 4_001 };
  await vi.advanceTimersByTimeAsync(600_000);
  expect(told.at(-1)).toEqual({ ip: '198.51.100.9', port: 4_001 });
});

test('no router, no tries; none that maps, few tries, and the reason in words', async () => {
  network = undefined;
  mapper.setPort(5_801);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect([searches, mapper.status.detail]).toEqual([0, 'there is no IPv4 default route']);
  outcome = new SystemError('ROUTER_SILENT', 'the router offers none');
  network = HOME;
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(searches).toBeGreaterThan(3);
  expect(searches).toBeLessThan(9);
  expect(mapper.status).toMatchObject({ state: 'none', detail: 'the router offers none' });
});

test('a private outer address is given back, not told, and said', async () => {
  outcome = { ip: '100.64.3.2', port: 4_000 };
  mapper.setPort(5_801);
  await vi.advanceTimersByTimeAsync(10);
  expect(told).toEqual([]);
  expect(released).toEqual([4_000]);
  expect(mapper.status).toMatchObject({ state: 'none', detail: expect.stringContaining('another NAT') });
});

test('a mapping outlives a router that is silent for a while, and ends when its time is over', async () => {
  mapper.setPort(5_801);
  await vi.advanceTimersByTimeAsync(10);
  outcome = new SystemError('ROUTER_SILENT', 'silent');
  await vi.advanceTimersByTimeAsync(3_000_000);
  expect([told.length, renewals > 5]).toEqual([1, true]);
  await vi.advanceTimersByTimeAsync(1_200_000);
  expect(told.at(-1)).toBeNull();
  outcome = { ip: '203.0.113.5', port: 4_000 };
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(told.at(-1)).toEqual({ ip: '203.0.113.5', port: 4_000 });
});

test('another network is asked at once, and the old address is no more', async () => {
  mapper.setPort(5_801);
  await vi.advanceTimersByTimeAsync(10);
  network = { ...HOME, gateway: '192.168.2.1' };
  outcome = { ip: '198.51.100.9', port: 4_001 };
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual([{ ip: '203.0.113.5', port: 4_000 }, null, { ip: '198.51.100.9', port: 4_001 }]);
});

test('a new tincan hears of the mapping, and one with another port gets another', async () => {
  mapper.setPort(5_801);
  await vi.advanceTimersByTimeAsync(10);
  mapper.setPort(5_801);
  expect(told).toHaveLength(2);
  outcome = { ip: '203.0.113.5', port: 4_002 };
  mapper.setPort(5_802);
  await vi.advanceTimersByTimeAsync(10);
  expect(released).toEqual([4_000]);
  expect(told.at(-1)).toEqual({ ip: '203.0.113.5', port: 4_002 });
});
