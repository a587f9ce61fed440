import type { KithConfig } from '@kith/config';
import { expect, test } from 'vitest';
import type { Remembered } from './address-store.ts';
import { Addressing } from './addressing.ts';
import { NO_TENURE, type Tenure } from './tenure.ts';

const ME = '05'.repeat(20);
const BOB = '09'.repeat(20);
const EVE = '01'.repeat(20);

const base: Pick<KithConfig, 'network' | 'xmpp'> = {
  xmpp: { jid: 'alice@vpn.test', password: 'p', server: 'xmpp://vpn.test:5222' },
  network: {
    kind: 'group',
    ip4: { address: '10.3.0.1', prefix_length: 24 },
    subnet: { address: '10.3.0.0', prefix_length: 24 },
    ip6: 'auto',
    friends: {},
    layer: 2,
    links: { when: 'proactive', idle_s: 600, max: 256 },
    interface: 'kith0',
    mtu: 1360,
  },
};

function make(
  network: Partial<KithConfig['network']>,
  remembered: Remembered = { ip4: null, friends: [] },
  tenure?: Tenure,
): { addressing: Addressing; saved: Remembered[] } {
  const saved: Remembered[] = [];
  const config = { ...base, network: { ...base.network, ...network } };
  const save = (each: Remembered) => saved.push(each);
  return { addressing: new Addressing(ME, config, remembered, save, tenure), saved };
}

test('a social network: friends are seen in our own subnet, and their packets are rewritten to it', () => {
  const { addressing, saved } = make({ kind: 'social', friends: { 'bob@x.test': '10.3.0.9' } });
  expect(addressing.isSettled).toBe(true);
  expect(addressing.translation(BOB)).toBeUndefined();
  expect(addressing.heard(BOB, 'bob@x.test', { ip4: '10.3.0.1', kind: 'static' }, 0)).toBe(false);
  expect(addressing.member(BOB)).toMatchObject({ ip4: '10.3.0.9', ip4_translated: true });
  const translation = { remote_ip4: '10.3.0.1', mapped_ip4: '10.3.0.9', local_ip4: '10.3.0.1' };
  expect(addressing.translation(BOB)).toEqual(translation);
  expect(saved.at(-1)).toEqual({ ip4: null, friends: [{ uid: BOB, jid: 'bob@x.test', ip4: '10.3.0.9' }] });
  addressing.heard(EVE, 'eve@x.test', { ip4: null, kind: 'auto' }, 0);
  expect(addressing.translation(EVE)).toBeUndefined();
  const eve = addressing.member(EVE).ip4;
  const again = make({ kind: 'social' }, saved.at(-1)).addressing;
  expect(again.member(EVE).ip4).toBe(eve);
});

test('an automatic address in a social network is there at once, remembered, and none that is fixed for a friend', () => {
  const first = make({ kind: 'social', ip4: null });
  const own = first.addressing.announcement.ip4 ?? '';
  expect(first.saved.at(-1)?.ip4).toBe(own);
  const moved = make({ kind: 'social', ip4: null, friends: { 'bob@x.test': own } }, first.saved.at(-1));
  expect(moved.addressing.announcement.ip4).not.toBe(own);
  expect(moved.addressing.heard(BOB, 'bob@x.test', { ip4: '10.3.0.1', kind: 'static' }, 0)).toBe(false);
  expect(moved.addressing.member(BOB).ip4).toBe(own);
});

test('a group network: an automatic address that turns out to be taken is left, and the new one is remembered', () => {
  const { addressing, saved } = make({ ip4: null }, { ip4: '10.3.0.7', friends: [] });
  expect(addressing.isSettled).toBe(true);
  expect(addressing.local).toMatchObject({ ip4: '10.3.0.7', ip4_mask: 24, ip6_mask: 64 });
  expect(addressing.heard(EVE, 'eve@x.test', { ip4: '10.3.0.7', kind: 'auto' }, 0)).toBe(true);
  expect(addressing.local.ip4).not.toBe('10.3.0.7');
  expect(saved.at(-1)?.ip4).toBe(addressing.local.ip4);
  expect(addressing.member(EVE)).toMatchObject({ ip4: '10.3.0.7', ip4_translated: false });
});

test('who claims the address of another gets no traffic under it, whatever it says of itself', () => {
  const { addressing } = make({});
  addressing.heard(BOB, 'bob@x.test', { ip4: '10.3.0.1', kind: 'static' }, 0);
  expect(addressing.member(BOB)).toMatchObject({ ip4: null, ip4_translated: true });
  expect(addressing.rivalsOf(BOB)).toEqual([ME]);
  expect(addressing.owner('10.3.0.1')).toBe(ME);
  addressing.gone(BOB);
  expect(addressing.rivalsOf(ME)).toEqual([]);
});

test('an automatic node is told that its address is kept for one who is away, and leaves it; where the holder is there it sees for itself', () => {
  const tenure: Tenure = {
    ...NO_TENURE,
    heldSince: (uid, ip4) => (uid === EVE && ip4 === '10.3.0.7' ? '2026-01-02T03:04:05.000Z' : undefined),
    holders: (ip4) => (ip4 === '10.3.0.7' ? [EVE] : []),
    addresses: () => ['10.3.0.7'],
  };
  const { addressing } = make({}, undefined, tenure);
  expect(addressing.kept()).toEqual(['10.3.0.7']);
  addressing.heard(BOB, 'bob@x.test', { ip4: '10.3.0.7', kind: 'auto' }, 0);
  expect(addressing.member(BOB)).toMatchObject({ ip4: null, ip4_translated: true });
  expect(addressing.refusalFor(BOB)).toBe('10.3.0.7');
  const bob = make({ ip4: null }, { ip4: '10.3.0.7', friends: [] });
  expect(bob.addressing.refused('10.3.0.9', 0)).toBe(false);
  expect(bob.addressing.refused('10.3.0.7', 0)).toBe(true);
  addressing.heard(BOB, 'bob@x.test', bob.addressing.announcement, 0);
  expect(addressing.refusalFor(BOB)).toBeUndefined();
  expect(addressing.member(BOB).ip4).toBe(bob.addressing.local.ip4);
  // A person wrote a static one down; and there is nothing to tell where the holder says it.
  addressing.heard(BOB, 'bob@x.test', { ip4: '10.3.0.7', kind: 'static' }, 0);
  expect(addressing.refusalFor(BOB)).toBeUndefined();
  addressing.heard(BOB, 'bob@x.test', { ip4: '10.3.0.7', kind: 'auto' }, 0);
  addressing.heard(EVE, 'eve@x.test', { ip4: '10.3.0.7', kind: 'static' }, 0);
  expect(addressing.refusalFor(BOB)).toBeUndefined();
});

test('a static address that this node had for itself is remembered, and another one of the config is not', () => {
  const { addressing, saved } = make({});
  addressing.keep(new Date(0));
  const held = { ip4: '10.3.0.1', since: '1970-01-01T00:00:00.000Z' };
  expect(saved).toEqual([{ ip4: null, friends: [], held }]);
  expect(make({}, saved[0]).addressing.heldSince(ME, '10.3.0.1')).toBe(held.since);
  const moved = make({ ip4: { address: '10.3.0.2', prefix_length: 24 } }, saved[0]);
  expect(moved.addressing.heldSince(ME, '10.3.0.2')).toBeUndefined();
});
