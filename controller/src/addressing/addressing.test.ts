import type { KithConfig } from '@kith/config';
import { expect, test } from 'vitest';
import type { Remembered } from './address-store.ts';
import { Addressing } from './addressing.ts';

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
): { addressing: Addressing; saved: Remembered[] } {
  const saved: Remembered[] = [];
  const config = { ...base, network: { ...base.network, ...network } };
  return { addressing: new Addressing(ME, config, remembered, (each) => saved.push(each)), saved };
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
