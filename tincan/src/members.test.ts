import { macOfUid } from '@kith/protocol';
import { expect, test } from 'vitest';
import { AddressBook } from './address-book.ts';
import { MAX_MEMBERS, Members } from './members.ts';

const uidOf = (number: number): string => number.toString(16).padStart(8, '0').repeat(5);
const member = (number: number) => ({ uid: uidOf(number), ip4: null, ip6: null, isTranslated: false });

test('saying it again replaces what was said, and costs no room', () => {
  const members = new Members();
  for (let number = 0; number < MAX_MEMBERS; number++) members.set(member(number));
  members.set({ ...member(7), ip4: '172.31.0.7' });
  expect(members.get(uidOf(7))?.ip4).toBe('172.31.0.7');
  expect(members.size).toBe(MAX_MEMBERS);
  expect(() => members.set(member(MAX_MEMBERS))).toThrow(
    expect.objectContaining({ code: 'MEMBER_LIMIT', field: 'uid' }),
  );
  expect(members.remove(uidOf(7))).toBe(true);
  members.set(member(MAX_MEMBERS));
});

test('a member is found by the MAC that follows from its UID, until it is removed', () => {
  const members = new Members();
  members.set(member(0x1234_5678));
  const mac = macOfUid(uidOf(0x1234_5678));
  expect(members.uidOfMac(mac)).toBe(uidOf(0x1234_5678));
  expect(members.remove(uidOf(0x1234_5678))).toBe(true);
  expect(members.remove(uidOf(0x1234_5678))).toBe(false);
  expect(members.uidOfMac(mac)).toBeUndefined();
});

test('the first claim to an address stands until its link is gone', () => {
  const book = new AddressBook();
  expect(book.claim('172.31.0.9', uidOf(1))).toBeUndefined();
  expect(book.claim('172.31.0.9', uidOf(1))).toBeUndefined();
  expect(book.claim('172.31.0.9', uidOf(2))).toBe(uidOf(1));
  book.release(uidOf(1));
  expect(book.claim('172.31.0.9', uidOf(2))).toBeUndefined();
});
