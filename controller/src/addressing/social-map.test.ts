import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SocialMap } from './social-map.ts';
import { Subnet } from './subnet.ts';

const SUBNET = new Subnet({ address: '10.9.0.0', prefix_length: 28 });
const OWN = '10.9.0.1';
const uidOf = (n: number) => n.toString(16).padStart(40, '0');
const nobody = () => false;

test('every friend has an address of his own, the same after a restart, never ours and never one that is fixed for another', () => {
  const visits = fc.array(fc.tuple(fc.nat(30), fc.nat(5)), { maxLength: 60 });
  fc.assert(
    fc.property(visits, (nodes) => {
      const fixed = { 'f0@x.test': '10.9.0.4', 'f1@x.test': '10.9.0.5' };
      let map = new SocialMap(SUBNET, OWN, fixed, []);
      const jids = new Map<string, string>();
      for (const [node, friend] of nodes) {
        const uid = uidOf(node);
        const jid = jids.get(uid) ?? `f${friend}@x.test`;
        jids.set(uid, jid);
        const before = map.addressOf(uid);
        const ip4 = map.addressFor(uid, jid, nobody);
        expect(ip4).toBeDefined();
        if (before !== undefined) expect(ip4).toBe(before);
        const restarted = new SocialMap(SUBNET, OWN, fixed, map.nodes);
        expect(restarted.nodes).toEqual(map.nodes);
        map = restarted;
        const all = map.nodes.map((each) => each.ip4);
        expect(new Set(all).size).toBe(all.length);
        expect(all).not.toContain(OWN);
        for (const each of map.nodes) {
          for (const [owner, address] of Object.entries(fixed)) {
            if (each.ip4 === address) expect(each.jid).toBe(owner);
          }
        }
      }
    }),
  );
});

test("a friend's first node gets the address that the config fixes, his second another", () => {
  const map = new SocialMap(SUBNET, OWN, { 'bob@x.test': '10.9.0.9' }, []);
  expect(map.addressFor(uidOf(1), 'bob@x.test', nobody)).toBe('10.9.0.9');
  expect(map.addressFor(uidOf(2), 'bob@x.test', nobody)).not.toBe('10.9.0.9');
});

test('an address fixed later moves the friend, and whoever had it', () => {
  const before = new SocialMap(SUBNET, OWN, {}, []);
  before.addressFor(uidOf(1), 'bob@x.test', nobody);
  const carols = before.addressFor(uidOf(2), 'carol@x.test', nobody) ?? '';
  const after = new SocialMap(SUBNET, OWN, { 'bob@x.test': carols }, before.nodes);
  expect(after.addressFor(uidOf(1), 'bob@x.test', nobody)).toBe(carols);
  expect(after.addressFor(uidOf(2), 'carol@x.test', nobody)).not.toBe(carols);
});

test('in a full subnet the friend unseen for longest makes room, but none that is there', () => {
  const small = new Subnet({ address: '10.9.0.0', prefix_length: 30 });
  const map = new SocialMap(small, OWN, {}, []);
  expect(map.addressFor(uidOf(1), 'bob@x.test', nobody)).toBe('10.9.0.2');
  expect(map.addressFor(uidOf(2), 'carol@x.test', () => true)).toBeUndefined();
  expect(map.addressFor(uidOf(2), 'carol@x.test', nobody)).toBe('10.9.0.2');
  expect(map.addressOf(uidOf(1))).toBeUndefined();
  expect(map.counters).toEqual({ friends_forgotten: 1, friends_without_address: 1 });
});
