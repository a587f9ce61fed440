import { createLogger, monotonicMs, SystemError } from '@kith/base';
import type { KithConfig } from '@kith/config';
import type { SecurityTerms } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AddressDesk } from './address-desk.ts';
import { AddressStore, NO_TENURE, type Tenure } from './addressing/index.ts';
import { GONE_AFTER_MS, PeerTable } from './peer-table.ts';
import type { NodeAnnouncement } from './xmpp/index.ts';

const TERMS: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };
const ME = '05'.repeat(20);
const BOB = '01'.repeat(20);
const log = createLogger('test', 'silent');

let peers: PeerTable;
let calls: { method: string; parameters: Record<string, unknown> }[];
let refuse: Error | undefined;
let announced: NodeAnnouncement[];
let trimmed: string[];
let settled: number;
let desk: AddressDesk;

function open(ip4: KithConfig['network']['ip4'], tenure: Tenure = NO_TENURE): void {
  const config: Pick<KithConfig, 'network' | 'xmpp'> = {
    xmpp: { jid: 'alice@vpn.test', password: 'p', server: 'xmpp://vpn.test:5222' },
    network: {
      ...{ kind: 'group', ip4, subnet: { address: '10.3.0.0', prefix_length: 24 }, ip6: 'auto', friends: {} },
      ...{ layer: 3, links: { when: 'proactive', idle_s: 600, max: 256 }, interface: 'kith0', mtu: 1360 },
    },
  };
  const store = new AddressStore('/dev/null/nowhere', log);
  desk = new AddressDesk({
    ...{ config, tenure, peers, log, memory: { store, remembered: { ip4: null, friends: [] } } },
    tincan: {
      call: (method, parameters = {}) => {
        if (refuse !== undefined) return Promise.reject(refuse);
        calls.push({ method, parameters: { ...parameters } });
        return Promise.resolve([]);
      },
    },
    session: () => ({ announce: (node) => announced.push({ ...node }) }),
    ready: () => true,
    trim: (uid) => trimmed.push(uid),
    settled: () => settled++,
  });
  desk.start();
}

const told = (method: string) =>
  calls.filter((call) => call.method === method).map((call) => call.parameters);

beforeEach(() => {
  vi.useFakeTimers();
  peers = new PeerTable(TERMS, false);
  [calls, announced, trimmed, settled, refuse] = [[], [], [], 0, undefined];
});

afterEach(async () => {
  await desk.stop();
  vi.useRealTimers();
});

test('a node without an address listens first, then takes a free one, sets it and announces it, and only then may links begin', async () => {
  open(null);
  await desk.setUp(ME);
  expect(told('set_local_ip')[0]).not.toHaveProperty('ip4');
  expect(told('set_local_ip')[0]).toMatchObject({ uid: ME, ip6_mask: 64, switchmode: false });
  expect(told('set_network_mode')).toEqual([{ layer: 3, on_demand: true }]);
  desk.listen();
  await vi.advanceTimersByTimeAsync(999);
  expect([settled, announced.length]).toEqual([0, 0]);
  await vi.advanceTimersByTimeAsync(1);
  expect(settled).toBe(1);
  expect(told('set_local_ip')[1]).toMatchObject({ ip4: announced[0]?.ip4, ip4_mask: 24 });
  expect(announced).toMatchObject([{ kind: 'auto' }]);
});

test('an address that a better claim takes is left: announced, set, and told to tincan of the other', async () => {
  open(null);
  await desk.setUp(ME);
  desk.listen();
  await vi.advanceTimersByTimeAsync(1_000);
  const lost = announced[0]?.ip4 ?? '';
  const bob = peers.add(BOB, 'bob@vpn.test');
  if (bob === undefined) throw new Error('no room in the table');
  bob.present = true;
  desk.heard(BOB, 'bob@vpn.test', { ip4: lost, kind: 'auto' });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(announced.at(-1)?.ip4).not.toBe(lost);
  expect(told('set_local_ip').at(-1)).toMatchObject({ ip4: announced.at(-1)?.ip4 });
  expect(told('set_member').at(-1)).toMatchObject({ uid: BOB, ip4: lost, ip4_translated: false });
});

test('a link whose address is another one now is ended; who is gone is taken back, and his address is free', async () => {
  open({ address: '10.3.0.1', prefix_length: 24 });
  await desk.setUp(ME);
  const bob = peers.add(BOB, 'bob@vpn.test');
  if (bob === undefined) throw new Error('no room in the table');
  bob.present = true;
  bob.machine.adopt(1, true, 0);
  desk.heard(BOB, 'bob@vpn.test', { ip4: '10.3.0.7', kind: 'auto' });
  await vi.advanceTimersByTimeAsync(100);
  expect(trimmed).toEqual([]);
  desk.heard(BOB, 'bob@vpn.test', { ip4: '10.3.0.8', kind: 'auto' });
  await vi.advanceTimersByTimeAsync(100);
  expect(trimmed).toEqual([BOB]);
  bob.machine.offline(1, 'closed', 1);
  bob.machine.absent();
  bob.present = false;
  bob.absentSince = monotonicMs();
  await vi.advanceTimersByTimeAsync(GONE_AFTER_MS - 1);
  expect(told('remove_member')).toEqual([]);
  await vi.advanceTimersByTimeAsync(GONE_AFTER_MS);
  expect(told('remove_member')).toEqual([{ uid: BOB }]);
  expect(desk.addressing?.knows(BOB)).toBe(false);
});

test('an address that cannot be set is tried again, and announced all the same', async () => {
  open(null);
  await desk.setUp(ME);
  desk.listen();
  refuse = new SystemError('TINCAN_SILENT', 'busy');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(announced).toHaveLength(1);
  refuse = undefined;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(told('set_local_ip').at(-1)).toMatchObject({ ip4: announced[0]?.ip4 });
});

test('tincan is told once which addresses are kept, again when it is a new one or did not answer, and of changes', async () => {
  const held = new Map([['10.3.0.7', BOB]]);
  open(
    { address: '10.3.0.1', prefix_length: 24 },
    {
      ...NO_TENURE,
      memberOf: () => 'bob@vpn.test',
      heldSince: (uid, ip4) => (held.get(ip4) === uid ? '2026-01-02T03:04:05.000Z' : undefined),
      holders: (ip4) => [...held].flatMap(([each, uid]) => (each === ip4 ? [uid] : [])),
      addresses: () => held.keys(),
    },
  );
  await desk.setUp(ME);
  refuse = new SystemError('TINCAN_SILENT', 'busy');
  await vi.advanceTimersByTimeAsync(5_100);
  expect(told('set_kept_addresses')).toEqual([]);
  refuse = undefined;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(told('set_kept_addresses')).toEqual([{ ip4: ['10.3.0.7'] }]);
  await desk.setUp(ME);
  await vi.advanceTimersByTimeAsync(5_100);
  held.clear();
  await vi.advanceTimersByTimeAsync(5_100);
  expect(told('set_kept_addresses').slice(1)).toEqual([{ ip4: ['10.3.0.7'] }, { ip4: [] }]);
});
