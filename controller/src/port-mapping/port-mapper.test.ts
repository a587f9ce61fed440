import { createLogger, SystemError } from '@kith/base';
import fc from 'fast-check';
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

/** What may happen to a mapper, and what its router does from then on. */
const blow = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 5_000_000 }) }),
  fc.record({ kind: fc.constant('port' as const), port: fc.constantFrom(null, 5_801, 5_802) }),
  fc.record({
    kind: fc.constant('network' as const),
    gateway: fc.constantFrom(undefined, '192.168.1.1', '10.0.0.1'),
  }),
  fc.record({
    kind: fc.constant('router' as const),
    does: fc.constantFrom('maps', 'moves', 'private', 'refuses', 'hangs'),
  }),
);

test('whatever router, network and tincan do, what is told is what is held, and nothing that was given is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(blow, { maxLength: 30 }), async (blows) => {
      let home: HomeNetwork | undefined = HOME;
      let does = 'maps';
      let serial = 0;
      /** Counts the networks that this machine was in: a router that is left is asked for nothing any more. */
      let stay = 0;
      /** Mappings that a router holds by its word. */
      const given = new Map<number, { endsAt: number; stay: number }>();
      /** What was told last. */
      const told: { address: OuterAddress | null } = { address: null };
      let tries = 0;
      const answer = async (signal: AbortSignal, before?: number): Promise<Mapping> => {
        tries++;
        if (does === 'hangs')
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        if (does === 'refuses') throw new SystemError('ROUTER_SILENT', 'none');
        const number = before === undefined || does === 'moves' ? ++serial : before;
        if (before !== undefined) given.delete(before);
        given.set(number, { endsAt: Date.now() + 3_600_000, stay });
        const ip = does === 'private' ? '10.9.9.9' : `203.0.113.${(number % 250) + 1}`;
        return {
          ...{ by: 'pcp', ip, port: 4_000, lifetimeMs: 3_600_000 },
          renew: (next) => answer(next, number),
          release: async () => void given.delete(number),
        };
      };
      const tested = new PortMapper({
        ...{ log: createLogger('test', 'silent'), clock: () => Date.now(), random: () => 0.5 },
        readNetwork: () => home,
        search: ({ signal }) => answer(signal),
        changed: (address) => {
          told.address = address;
        },
      });
      let port: number | null = null;
      let elapsed = 0;
      for (const each of blows) {
        if (each.kind === 'wait') {
          await vi.advanceTimersByTimeAsync(each.ms);
          elapsed += each.ms;
        } else if (each.kind === 'router') does = each.does;
        else if (each.kind === 'network') {
          stay++;
          home = each.gateway === undefined ? undefined : { ...HOME, gateway: each.gateway };
        } else {
          port = each.port;
          tested.setPort(port);
        }
        await vi.advanceTimersByTimeAsync(10);
        const held = told.address === null ? null : `${told.address.ip}:${told.address.port}`;
        expect(tested.status.address).toBe(held);
        expect(held?.startsWith('10.') ?? false).toBe(false);
        if (port === null) expect(tested.status).toMatchObject({ state: 'off', address: null });
      }
      // Each blow may bring a try at once, each look a new network; besides, the schedule: at most twice a minute.
      expect(tries).toBeLessThanOrEqual(2 * blows.length + 5 + elapsed / 15_000);
      does = 'maps';
      await tested.stop();
      await vi.advanceTimersByTimeAsync(30_000);
      // What is left belongs to a router that is ours no more, or ends by itself.
      const left = [...given.values()].filter(({ stay: of, endsAt }) => of === stay && endsAt > Date.now());
      expect(left).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 150 },
  );
});
