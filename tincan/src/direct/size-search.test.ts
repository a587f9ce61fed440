import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RAISE_AFTER_MS, SizeSearch, sizeLadder } from './size-search.ts';

/** Runs the search against a path that carries `limit` bytes of UDP payload; answers come at once. */
function run(search: SizeSearch, limit: number, from: number, until: number): number {
  let probes = 0;
  for (let now = from; now <= until; now += 100) {
    for (const size of search.wants(now, true)) {
      probes++;
      if (size <= limit) search.answered(size);
      else search.lost(size, now);
    }
  }
  return probes;
}

test('the ladder counts the headers of each family, and jumbo frames where an interface has them', () => {
  expect(sizeLadder(4, [1500, 65_536]).sizes).toEqual([
    548, 1252, 1272, 1322, 1352, 1372, 1392, 1412, 1422, 1432, 1452, 1464, 1472, 8972,
  ]);
  expect(sizeLadder(6, []).sizes.slice(0, 2)).toEqual([1232, 1252]);
});

test('whatever a path carries, the largest size that fits is found within a second, and shrinking and growing are followed', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.array(fc.integer({ min: 1232, max: 9_000 }), { minLength: 1, maxLength: 5 }),
      (family, limits) => {
        const ladder = sizeLadder(family, [9_000]);
        const search = new SizeSearch(ladder);
        let now = 0;
        for (const limit of limits) {
          // A full-size probe that vanishes twice while small ones pass is a black hole.
          while (search.confirmed > limit) search.lost(search.confirmed, now);
          run(search, limit, now, now + RAISE_AFTER_MS + 1_000);
          now += RAISE_AFTER_MS + 1_000;
          const fitting = ladder.sizes.filter((size) => size <= limit);
          expect(search.confirmed).toBe(Math.max(...fitting));
        }
      },
    ),
  );
});

test('a path of Ethernet takes two probes, and one that carries less half a second more', () => {
  const ladder = sizeLadder(4, [1500]);
  const ethernet = new SizeSearch(ladder);
  expect(run(ethernet, 1472, 0, 1_000)).toBe(2);
  expect(ethernet.confirmed).toBe(1472);
  const pppoe = new SizeSearch(ladder);
  run(pppoe, 1464, 0, 600);
  expect(pppoe.confirmed).toBe(1464);
});

test('a found size costs nothing until the next raise', () => {
  const search = new SizeSearch(sizeLadder(4, []));
  run(search, 1400, 0, 2_000);
  expect(search.confirmed).toBe(1392);
  expect(run(search, 1400, 2_100, RAISE_AFTER_MS - 1_000)).toBe(0);
});

test('one lost full-size probe is chance, two are a black hole', () => {
  const search = new SizeSearch(sizeLadder(4, []));
  run(search, 1472, 0, 1_000);
  expect(search.lost(1472, 1_000)).toBe(false);
  search.answered(1472);
  expect(search.lost(1472, 2_000)).toBe(false);
  expect(search.lost(1472, 2_200)).toBe(true);
  expect(search.confirmed).toBe(1252);
});

test('a path that carries nothing but small probes is no path, and is asked again after a while', () => {
  const search = new SizeSearch(sizeLadder(4, []));
  expect(run(search, 100, 0, 9_000)).toBe(6);
  expect(search.confirmed).toBe(0);
  run(search, 1472, 11_000, 12_000);
  expect(search.confirmed).toBe(1472);
});
