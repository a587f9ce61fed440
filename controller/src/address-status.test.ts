import type { LinkStatus, StatusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { withAddresses } from './address-status.ts';
import { Addressing, NO_TENURE, type Tenure } from './addressing/index.ts';

const ME = '05'.repeat(20);
const BOB = '01'.repeat(20);
const EVE = '09'.repeat(20);
const NAMES = new Map([
  [BOB, 'bob@vpn.test'],
  [EVE, 'eve@vpn.test'],
]);

const link = (uid: string): LinkStatus => ({
  ...{ name: NAMES.get(uid) ?? '', uid, address: null, state: 'idle', security: null, why: null },
  ...{ carrier: null, path: null, rtt_ms: null, rx_bytes: 0, tx_bytes: 0, last_heard_ms: null, detail: null },
});

const report: StatusReport = {
  ...{ schema: 1, network: 'demo', tap: null, members: 2, counters: {}, links: [link(BOB), link(EVE)] },
  node: { uid: ME, jid: 'alice@vpn.test', ip4: '10.3.0.1', mac: null, controller_uptime_ms: 0 },
  hub: { state: 'online', server: 'xmpp://vpn.test', since_ms: 0, detail: null, retry_in_ms: null },
  tincan: { running: true, instance: null, detail: null },
};

function statusOf(
  tell: (addressing: Addressing) => void,
  ip4: string | null = '10.3.0.1',
  tenure: Tenure = NO_TENURE,
) {
  const addressing = new Addressing(
    ME,
    {
      xmpp: { jid: 'alice@vpn.test', password: 'p', server: 'xmpp://vpn.test:5222' },
      network: {
        ...{ kind: 'group', subnet: { address: '10.3.0.0', prefix_length: 24 }, ip6: 'auto', friends: {} },
        ...{ layer: 2, links: { when: 'proactive', idle_s: 600, max: 256 }, interface: 'kith0', mtu: 1360 },
        ip4: ip4 === null ? null : { address: ip4, prefix_length: 24 },
      },
    },
    { ip4: null, friends: [] },
    () => {},
    tenure,
  );
  tell(addressing);
  return withAddresses(report, addressing, (uid) => NAMES.get(uid));
}

test('where everybody is, though nothing is linked yet', () => {
  const status = statusOf((addressing) =>
    addressing.heard(BOB, 'bob@vpn.test', { ip4: '10.3.0.2', kind: 'auto' }, 0),
  );
  expect(status.node.detail).toBeNull();
  expect(status.node.ip6).toMatch(/^fd/);
  expect(status.links[0]).toMatchObject({ address: '10.3.0.2', detail: null });
  expect(status.links[1]).toEqual(link(EVE));
});

test('two static nodes with one address are named at both, and what to do', () => {
  const lost = statusOf((addressing) =>
    addressing.heard(BOB, 'bob@vpn.test', { ip4: '10.3.0.1', kind: 'static' }, 0),
  );
  expect(lost.node.detail).toBe(
    '10.3.0.1 belongs to bob@vpn.test (01010101), so nothing is sent to this node under it: change network.ip4',
  );
  expect(lost.links[0]).toMatchObject({ address: '10.3.0.1', detail: null });
  const won = statusOf((addressing) =>
    addressing.heard(EVE, 'eve@vpn.test', { ip4: '10.3.0.1', kind: 'static' }, 0),
  );
  expect(won.node.detail).toContain('is claimed by eve@vpn.test (09090909) too; this node has it');
  expect(won.links[1]?.address).toBeNull();
  expect(won.links[1]?.detail).toBe(
    'claims 10.3.0.1, which this node has; nothing is sent to it under that address',
  );
});

test('an address outside of the subnet is said to be wrong, and a node without one says why', () => {
  const status = statusOf((addressing) => {
    addressing.heard(BOB, 'bob@vpn.test', { ip4: '10.4.0.2', kind: 'static' }, 0);
  }, null);
  expect(status.links[0]).toMatchObject({ address: '10.4.0.2' });
  expect(status.links[0]?.detail).toContain("is not in this node's network.subnet");
  expect(status.node.detail).toContain('is chosen when the hub has told');
});

test('a claim to what another holds says since when, and what to do where he is away', () => {
  const tenure: Tenure = {
    ...NO_TENURE,
    heldSince: (uid, ip4) => (uid === EVE && ip4 === '10.3.0.7' ? '2026-01-02T03:04:05.000Z' : undefined),
    holders: (ip4) => (ip4 === '10.3.0.7' ? [EVE] : []),
  };
  const claim = { ip4: '10.3.0.7', kind: 'static' as const };
  const there = (addressing: Addressing) => {
    addressing.heard(EVE, 'eve@vpn.test', claim, 0);
    addressing.heard(BOB, 'bob@vpn.test', claim, 0);
  };
  expect(statusOf(there, undefined, tenure).links[0]).toMatchObject({
    address: null,
    detail:
      'claims 10.3.0.7, which eve@vpn.test (09090909) has had since 2026-01-02; nothing is sent to it under that address',
  });
  const away = (addressing: Addressing) => addressing.heard(BOB, 'bob@vpn.test', claim, 0);
  expect(statusOf(away, undefined, tenure).links[0]).toMatchObject({
    address: null,
    detail: `claims 10.3.0.7, which is kept for eve@vpn.test (09090909), who has had it since 2026-01-02 and is away (kith trust forget eve@vpn.test ${EVE} would give it up); nothing is sent to it under that address`,
  });
  expect(statusOf(() => {}, '10.3.0.7', tenure).node.detail).toContain(
    '10.3.0.7 is kept for eve@vpn.test (09090909)',
  );
});
