import type { ApiReply } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UidNames } from './uid-names.ts';

const uidOf = (number: number): string => number.toString(16).padStart(40, '0');
const ME = uidOf(1);

test('what nobody named stands for itself', () => {
  const names = new UidNames(ME);
  expect(names.name(uidOf(5), uidOf(5))).toBeUndefined();
  expect(names.uidOf(uidOf(5))).toBe(uidOf(5));
  expect(names.nameOf(uidOf(5))).toBe(uidOf(5));
});

test('the first name of this node stays', () => {
  const names = new UidNames(ME);
  names.nameSelf('aa');
  names.nameSelf('bb');
  expect(names.nameOf(ME)).toBe('aa');
  expect(names.uidOf('aa')).toBe(ME);
});

test('whatever is named in whatever order, a name stands for the node that had it last, and one node has one name', () => {
  const small = fc.integer({ min: 10, max: 15 });
  fc.assert(
    fc.property(fc.array(fc.tuple(small, fc.integer({ min: 100, max: 105 }))), (steps) => {
      const names = new UidNames(ME);
      const last = new Map<string, string>();
      for (const [name, uid] of steps) {
        const before = names.name(uidOf(name), uidOf(uid));
        expect(before).toBe(
          last.get(uidOf(name)) === uidOf(uid) ? undefined : (last.get(uidOf(name)) ?? uidOf(name)),
        );
        for (const [known, holder] of last) if (holder === uidOf(uid)) last.delete(known);
        last.set(uidOf(name), uidOf(uid));
        for (const [known, holder] of last) {
          expect(names.uidOf(known)).toBe(holder);
          expect(names.nameOf(holder)).toBe(known);
        }
      }
    }),
  );
});

test('names are bounded, and renaming costs nothing', () => {
  const names = new UidNames(ME);
  for (let number = 0; number < 4_096; number++) names.name(uidOf(10_000 + number), uidOf(20_000 + number));
  names.name(uidOf(10_000), uidOf(30_000));
  expect(() => names.name(uidOf(9), uidOf(40_000))).toThrow(
    expect.objectContaining({ code: 'MEMBER_LIMIT' }),
  );
});

test('messages name nodes as their controller does', () => {
  const names = new UidNames(ME);
  names.name(uidOf(7), uidOf(8));
  const stat: ApiReply = { type: 'con_stat', uid: uidOf(8), data: 'online', attempt: 1 };
  expect(names.named(stat)).toEqual({ ...stat, uid: uidOf(7) });
  const echo: ApiReply = { type: 'echo_request', msg: uidOf(8) };
  expect(names.named(echo)).toEqual(echo);
});
