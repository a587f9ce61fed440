import { expect, test } from 'vitest';
import { allCells, KINDS, kindNamed } from './kinds.mjs';
import { expectation } from './theory.ts';

// Written down before anything was measured. D: direct, R: relayed. RFC 5128 §3 for the cones and symmetric NATs.
const TABLE = `
                    none full addr port symm cgna udp- tcp- ipv6 ipv4 mtu-
none                 D    D    D    D    D    D    R    R    D    D    D
full-cone                 D    D    D    D    D    R    R    R    R    D
address-restricted             D    D    D    D    R    R    R    R    D
port-restricted                     D    R    R    R    R    R    R    D
symmetric                                R    R    R    R    R    R    R
cgnat                                         R    R    R    R    R    R
udp-blocked                                        R    R    R    R    R
tcp-443                                                 R    R    R    R
ipv6-only                                                    D    D    R
ipv4-broken                                                       D    R
mtu-1280                                                               D
`;

test('the theory gives the table that was written by hand', () => {
  const [, ...lines] = TABLE.trim().split('\n');
  const wanted = lines.flatMap((line, row) => {
    const [id = '', ...letters] = line.trim().split(/ +/);
    return letters.map((letter, column) => `${id} ${KINDS[row + column]?.id} ${letter}`);
  });
  const got = allCells()
    .filter(({ a }) => a.shared === undefined)
    .map(({ a, b }) => `${a.id} ${b.id} ${expectation(a, b).expected === 'direct' ? 'D' : 'R'}`);
  expect(got).toEqual(wanted);
});

test('two hosts behind one router reach each other unless they are kept apart and the router does not hairpin', () => {
  const of = (id: string) => expectation(kindNamed(id), kindNamed(id)).expected;
  expect(['same-nat', 'same-nat-hairpin', 'same-nat-no-hairpin'].map(of)).toEqual([
    'direct',
    'direct',
    'relayed',
  ]);
});

test('it does not matter which end is which', () => {
  for (const { a, b } of allCells()) expect(expectation(b, a).expected).toBe(expectation(a, b).expected);
});

test('every relayed pair has its reason in words', () => {
  expect(expectation(kindNamed('symmetric'), kindNamed('cgnat')).theory).toBe(
    'both NATs map ports per destination',
  );
  expect(expectation(kindNamed('none'), kindNamed('udp-blocked')).theory).toBe('no UDP leaves: UDP blocked');
  expect(expectation(kindNamed('none'), kindNamed('ipv6-only')).theory).toContain('IPv6');
});
