import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Membership, type RosterEntry } from './membership.ts';

const entry = (
  jid: string,
  groups: string[],
  subscription: RosterEntry['subscription'] = 'both',
): RosterEntry => ({
  jid,
  groups,
  subscription,
});

test('contacts of the roster group with a mutual subscription are members, others are not', () => {
  const membership = new Membership('me@vpn.test/kith-x', 'friends');
  membership.reset([
    entry('a@vpn.test', ['friends']),
    entry('b@vpn.test', ['work']),
    entry('c@vpn.test', ['friends'], 'to'),
    entry('d@vpn.test', ['work', 'friends']),
  ]);
  expect(['a', 'b', 'c', 'd'].map((user) => membership.isMember(`${user}@vpn.test`))).toEqual([
    true,
    false,
    false,
    true,
  ]);
});

test('without a group every mutual contact is a member; this account itself always is', () => {
  const membership = new Membership('me@vpn.test', undefined);
  membership.reset([entry('a@vpn.test', []), entry('b@vpn.test', [], 'none')]);
  expect(membership.isMember('a@vpn.test/phone')).toBe(true);
  expect(membership.isMember('b@vpn.test')).toBe(false);
  expect(membership.isMember('me@vpn.test/kith-other')).toBe(true);
});

test('a push that removes a contact, or moves it out of the group, ends its membership', () => {
  const membership = new Membership('me@vpn.test', 'friends');
  membership.reset([entry('a@vpn.test', ['friends']), entry('b@vpn.test', ['friends'])]);
  membership.update(entry('a@vpn.test', [], 'remove'));
  membership.update(entry('b@vpn.test', ['enemies']));
  expect([...membership.others()]).toEqual([]);
});

test('whatever the pushes, the members are those of the last state of each contact', () => {
  const entries = fc.record({
    jid: fc.constantFrom('a@x', 'b@x', 'c@x'),
    groups: fc.subarray(['friends', 'work']),
    subscription: fc.constantFrom(
      'none' as const,
      'to' as const,
      'from' as const,
      'both' as const,
      'remove' as const,
    ),
  });
  fc.assert(
    fc.property(fc.array(entries, { maxLength: 30 }), (updates) => {
      const membership = new Membership('me@x', 'friends');
      for (const update of updates) membership.update(update);
      const last = new Map<string, RosterEntry>(updates.map((update) => [update.jid, update]));
      for (const jid of ['a@x', 'b@x', 'c@x']) {
        const state = last.get(jid);
        const expected = state?.subscription === 'both' && state.groups.includes('friends');
        expect(membership.isMember(jid)).toBe(expected);
      }
    }),
  );
});

test('whoever this account blocks is no member, whatever the roster says', () => {
  const membership = new Membership('me@vpn.test', undefined);
  membership.reset(['a@x.test', 'b@x.test', 'c@y.test'].map((jid) => entry(jid, [])));
  membership.block({ what: 'all', jids: ['a@x.test', 'y.test'] });
  expect(['a@x.test', 'b@x.test', 'c@y.test/kith-1'].map((jid) => membership.isMember(jid))).toEqual([
    false,
    true,
    false,
  ]);
  expect([...membership.others()]).toEqual(['b@x.test']);
  expect(membership.count).toBe(1);
  expect(membership.block({ what: 'remove', jids: ['a@x.test'] })).toEqual(['a@x.test']);
  membership.block({ what: 'add', jids: ['b@x.test'] });
  expect([...membership.others()]).toEqual(['a@x.test']);
  membership.block({ what: 'all', jids: [] });
  expect(membership.count).toBe(3);
  // Blocking oneself ends nothing.
  membership.block({ what: 'add', jids: ['me@vpn.test'] });
  expect(membership.isMember('me@vpn.test/kith-2')).toBe(true);
});
