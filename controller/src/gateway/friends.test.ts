import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Friends, uidOfFriend } from './friends.ts';

const A = 'aa'.repeat(20);
const B = 'bb'.repeat(20);
const ANNA = `anna@h/tincan${A}`;

test('a UID is read from the resource of a full JID alone, in the form that IPOP gives it', () => {
  expect(uidOfFriend(ANNA)).toBe(A);
  for (const jid of [
    'anna@h',
    'anna@h/phone',
    `anna@h/kith-${A}`,
    `anna@h/tincan${A}0`,
    `anna@h/tincan${A.toUpperCase()}`,
    `tincan${A}`,
    `anna@h/x/tincan${A}`,
  ])
    expect(uidOfFriend(jid)).toBeUndefined();
  fc.assert(
    fc.property(fc.string(), (text) => {
      const uid = uidOfFriend(text);
      if (uid !== undefined) expect(text.endsWith(`/tincan${uid}`)).toBe(true);
    }),
  );
});

test('a present friend is reached and was seen just now; one who left is not, and its absence counts', () => {
  const friends = new Friends();
  expect(friends.absentFor(A, 0)).toBeUndefined();
  expect(friends.heard(A, ANNA, 1_000)).toBe(true);
  expect(friends.jidOf(A)).toBe(ANNA);
  expect(friends.absentFor(A, 999_000)).toBe(0);
  expect(friends.left(A, ANNA, 10_000)).toBe(true);
  expect(friends.left(A, ANNA, 11_000)).toBe(false);
  expect(friends.jidOf(A)).toBeUndefined();
  expect(friends.absentFor(A, 15_900)).toBe(5);
});

test('while the hub is away the absence counts from there, and ends with the session resumed', () => {
  const friends = new Friends();
  friends.heard(A, ANNA, 0);
  friends.hubLost(10_000);
  friends.hubLost(20_000);
  expect(friends.absentFor(A, 30_000)).toBe(20);
  expect(friends.jidOf(A)).toBe(ANNA);
  friends.hubBack(false, 31_000);
  expect(friends.absentFor(A, 32_000)).toBe(0);
  friends.hubLost(40_000);
  friends.hubBack(true, 50_000);
  expect(friends.jidOf(A)).toBeUndefined();
  expect(friends.absentFor(A, 50_000)).toBe(10);
});

test("nobody takes the UID of a node that is present, and anybody that of one who left, as in IPOP's networks", () => {
  const friends = new Friends();
  const other = `mallory@h/tincan${A}`;
  friends.heard(A, ANNA, 0);
  expect(friends.heard(A, other, 1)).toBe(false);
  expect(friends.left(A, other, 2)).toBe(false);
  expect(friends.jidOf(A)).toBe(ANNA);
  expect(friends.counters.friend_uids_contested).toBe(1);
  friends.left(A, ANNA, 3);
  expect(friends.heard(A, other, 4)).toBe(true);
  expect(friends.jidOf(A)).toBe(other);
});

test('who is no friend any more is forgotten, and who left ten minutes ago', () => {
  const friends = new Friends();
  friends.heard(A, ANNA, 0);
  friends.heard(B, `bert@h/tincan${B}`, 0);
  friends.keep((jid) => jid.startsWith('bert@'));
  expect(friends.uids(1)).toEqual([B]);
  friends.left(B, `bert@h/tincan${B}`, 1_000);
  expect(friends.uids(601_000)).toEqual([B]);
  expect(friends.uids(601_001)).toEqual([]);
});

test('whatever happens in whatever order, there are at most 4096 and each UID has one JID', () => {
  const uid = fc.integer({ min: 0, max: 30 }).map((n) => n.toString(16).padStart(40, '0'));
  const step = fc.record({
    do: fc.constantFrom('heard', 'left', 'lost', 'back', 'fresh', 'keep'),
    uid,
    who: fc.constantFrom('anna', 'bert'),
    after: fc.integer({ min: 0, max: 400_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const friends = new Friends();
      const present = new Map<string, string>();
      let now = 0;
      for (const { do: what, uid, who, after } of steps) {
        now += after;
        const jid = `${who}@h/tincan${uid}`;
        if (what === 'heard' && friends.heard(uid, jid, now)) present.set(uid, jid);
        else if (what === 'left' && friends.left(uid, jid, now)) present.delete(uid);
        else if (what === 'lost') friends.hubLost(now);
        else if (what === 'back') friends.hubBack(false, now);
        else if (what === 'fresh') {
          friends.hubBack(true, now);
          present.clear();
        } else if (what === 'keep') {
          friends.keep((full) => full.startsWith(who));
          for (const [key, full] of present) if (!full.startsWith(who)) present.delete(key);
        }
        for (let n = 0; n <= 30; n++) {
          const key = n.toString(16).padStart(40, '0');
          expect(friends.jidOf(key)).toBe(present.get(key));
          const absent = friends.absentFor(key, now);
          if (absent !== undefined) expect(absent).toBeGreaterThanOrEqual(0);
        }
      }
    }),
  );
  const many = new Friends();
  for (let n = 0; n < 4_100; n++) {
    const key = n.toString(16).padStart(40, '0');
    many.heard(key, `a@h/tincan${key}`, 0);
  }
  expect(many.uids(1)).toHaveLength(4_096);
  expect(many.counters.friends_ignored).toBe(4);
});
