import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../lab/index.ts';
import { type CellResult, measureCell } from '../natlab/cell.ts';
import { kindNamed } from '../natlab/kinds.mjs';
import { oneAtATime } from '../natlab/schedule.ts';
import { World } from '../natlab/world.ts';

// A few cells of the grid that `npm run natlab` measures whole.

let lab: Lab;
let world: World;

beforeAll(async () => {
  lab = await Lab.create({ name: 'natlab' });
  world = await World.create(lab);
});

afterAll(async () => {
  await lab?.destroy();
});

function cell(a: string, b: string): Promise<CellResult> {
  return measureCell(world, kindNamed(a), kindNamed(b), {
    ...{ patienceMs: 40_000, seconds: 1, alone: oneAtATime(), onShort: () => Promise.resolve() },
  });
}

describe('a router is what it claims to be, by an RFC 5780 probe from within', () => {
  test.each(['address-restricted', 'port-restricted', 'symmetric', 'mtu-1280', 'ipv4-broken', 'tcp-443'])(
    '%s',
    async (id) => {
      const [site] = await world.sites(kindNamed(id), kindNamed(id));
      expect(await world.verify(site)).toEqual([]);
    },
  );

  test('and one that is not is found out', async () => {
    const [site] = await world.sites(kindNamed('symmetric'), kindNamed('symmetric'));
    const liar = { ...site, kind: { ...site.kind, id: 'liar', ip4: kindNamed('full-cone').ip4 } };
    expect(await world.verify(liar)).toEqual([expect.stringContaining('UDP by IPv4')]);
  });
});

test('two cones that let in answers only: direct', async () => {
  expect(await cell('port-restricted', 'port-restricted')).toMatchObject({
    ...{ expected: 'direct', connected: true, carrier: 'direct', ok: true },
  });
});

test('a port-restricted cone and a symmetric NAT: relayed, as theory says', async () => {
  expect(await cell('port-restricted', 'symmetric')).toMatchObject({
    ...{ expected: 'relayed', connected: true, carrier: 'relayed', ok: true },
  });
});

test('an IPv4 that leads nowhere beside an IPv6 that works: direct by IPv6', async () => {
  const result = await cell('none', 'ipv4-broken');
  expect(result).toMatchObject({ expected: 'direct', connected: true, carrier: 'direct', ok: true });
  expect(result.path).toContain('2001:db8:');
});
