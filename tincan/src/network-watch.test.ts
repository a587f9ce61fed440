import { createLogger, SystemError } from '@kith/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ip4Defaults, ip6Defaults, NetworkWatch } from './network-watch.ts';

const log = createLogger('test', 'silent');

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched(withNews: boolean) {
  const world = {
    addresses: [{ interface: 'eth0', ip: '192.0.2.1', mtu: undefined }],
    routes: ['eth0 gw 0'],
    /** What the kernel has to tell. */
    news: false,
    awaited: undefined as (() => void) | undefined,
    changes: 0,
    told: 0,
    closed: false,
  };
  const watch = new NetworkWatch({
    log,
    readAddresses: () => world.addresses,
    readRoutes: () => world.routes,
    monitor: () => {
      if (!withNews) throw new SystemError('EPERM', 'no news');
      const changed = () => {
        const { news } = world;
        world.news = false;
        return news;
      };
      return {
        changed,
        whenNews: (handler: () => void) => {
          world.awaited = handler;
        },
        close: () => {
          world.closed = true;
        },
      };
    },
    news: () => world.told++,
    changed: () => world.changes++,
  });
  /** The kernel tells something, which a source that is waited for passes on at once. */
  const tell = (): void => {
    world.news = true;
    const { awaited } = world;
    world.awaited = undefined;
    awaited?.();
  };
  return { watch, world, tell };
}

test('news of another address are told with the first quiet look, news of nothing that matters are not', () => {
  const { watch, world, tell } = watched(true);
  tell();
  vi.advanceTimersByTime(200);
  expect(world.changes).toBe(0);
  world.addresses = [{ interface: 'eth0', ip: '192.0.2.9', mtu: undefined }];
  tell();
  vi.advanceTimersByTime(99);
  tell();
  vi.advanceTimersByTime(99);
  expect(world.changes).toBe(0);
  vi.advanceTimersByTime(100);
  expect(world.changes).toBe(1);
  vi.advanceTimersByTime(5_000);
  expect(world.changes).toBe(1);
  watch.close();
  expect(world.closed).toBe(true);
});

test('news without end are acted on all the same', () => {
  const { watch, world, tell } = watched(true);
  world.addresses = [];
  for (let look = 0; look < 4; look++) {
    tell();
    vi.advanceTimersByTime(100);
  }
  expect(world.changes).toBe(1);
  watch.close();
});

test('all news are told at once to who wants them; missed ones are found within two minutes', () => {
  const { watch, world, tell } = watched(true);
  tell();
  expect(world.told).toBe(1);
  vi.advanceTimersByTime(100);
  vi.advanceTimersByTime(400);
  world.addresses = [];
  expect(world.changes).toBe(0);
  const { told } = world;
  vi.advanceTimersByTime(120_000);
  expect(world).toMatchObject({ changes: 1, told: told + 1 });
  watch.close();
});

test('another default route is a change, the order of routes is none', () => {
  const { watch, world, tell } = watched(true);
  world.routes = ['eth1 gw 0', 'eth0 gw 0'];
  tell();
  vi.advanceTimersByTime(200);
  world.routes = ['eth0 gw 0', 'eth1 gw 0'];
  tell();
  vi.advanceTimersByTime(200);
  expect(world.changes).toBe(1);
  watch.close();
});

test('nothing is done while there is no news', () => {
  const { watch, world } = watched(true);
  expect(world.awaited).toBeDefined();
  // The look at everything each two minutes, and no other.
  expect(vi.getTimerCount()).toBe(1);
  watch.close();
  expect(vi.getTimerCount()).toBe(0);
});

test('a machine that refuses news is looked at every two seconds, and not after close', () => {
  const { watch, world } = watched(false);
  world.routes = [];
  vi.advanceTimersByTime(2_000);
  expect(world.changes).toBe(1);
  watch.close();
  world.routes = ['eth0 gw 0'];
  vi.advanceTimersByTime(10_000);
  expect(world.changes).toBe(1);
});

test("the kernel's tables are read", () => {
  const ip4 = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0',
    'eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    '',
  ].join('\n');
  expect(ip4Defaults(ip4)).toEqual(['eth0 0101A8C0 100']);
  const none = '0'.repeat(32);
  const ip6 = [
    `${none} 00 ${none} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0`,
    `${none} 00 ${none} 00 ${none} ffffffff 00000001 00000000 00200200       lo`,
    `fe80${'0'.repeat(28)} 40 ${none} 00 ${none} 00000100 00000001 00000000 00000001     eth0`,
    '',
  ].join('\n');
  expect(ip6Defaults(ip6)).toEqual(['eth0 fe800000000000000000000000000001 00000400']);
});
