import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasRoomFor, type LinkUse, linksToRest, measureEveryMs } from './link-budget.ts';

const use = (uid: string, idleMs: number | null, ageMs = 1e9, online = true): LinkUse => ({
  ...{ uid, idleMs, ageMs, online },
});

test('a link without packets for the idle time is given up, one that is younger is not', () => {
  const rules = { max: 10, idleMs: 600_000 };
  const uses = [use('a', 599_999), use('b', 600_000), use('c', null, 600_000), use('d', null, 5_000)];
  expect(linksToRest(uses, rules).map(({ uid }) => uid)).toEqual(['b', 'c']);
  expect(linksToRest(uses, { max: 10, idleMs: null })).toEqual([]);
});

test('of too many links the least used go first, and none that is in use or still being made', () => {
  const uses = [use('a', 30_000), use('b', 90_000), use('c', 0), use('d', null, 0, false), use('e', 60_000)];
  const resting = (max: number) => linksToRest(uses, { max, idleMs: null }).map(({ uid }) => uid);
  expect(resting(5)).toEqual([]);
  expect(resting(4)).toEqual(['b']);
  expect(resting(3)).toEqual(['b', 'e']);
  expect(resting(1)).toEqual(['b', 'e', 'a']);
});

test('a link that a packet or the peer asks for may push out an unused one, and only such a one', () => {
  const rules = { max: 2, idleMs: null };
  expect(hasRoomFor([use('a', 0)], rules)).toBe(true);
  expect(hasRoomFor([use('a', 0), use('b', 90_000)], rules)).toBe(true);
  expect(hasRoomFor([use('a', 0), use('b', 5_000)], rules)).toBe(false);
});

test('whatever the links: room taken for a wanted one is room that the next look makes', () => {
  const link = fc.record({
    uid: fc.uuid(),
    online: fc.boolean(),
    ageMs: fc.integer({ min: 0, max: 100_000 }),
    idleMs: fc.option(fc.integer({ min: 0, max: 100_000 })),
  });
  const rules = fc.record({
    max: fc.integer({ min: 1, max: 8 }),
    idleMs: fc.option(fc.integer({ min: 1, max: 100_000 })),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(link, { selector: ({ uid }) => uid, maxLength: 8 }),
      rules,
      (links, limits) => {
        const uses = links.slice(0, limits.max);
        const resting = new Set(linksToRest(uses, limits).map(({ uid }) => uid));
        for (const each of uses) if (!each.online) expect(resting.has(each.uid)).toBe(false);
        if (!hasRoomFor(uses, limits)) return;
        const crowd = [...uses, use('new', null, 0, false)];
        const gone = linksToRest(crowd, limits);
        expect(crowd.length - gone.length).toBeLessThanOrEqual(limits.max);
        expect(measureEveryMs(limits)).toBeGreaterThanOrEqual(250);
      },
    ),
  );
});
