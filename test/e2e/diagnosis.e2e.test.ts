import type { LinkStatus } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KithNode, Lab } from '../lab/index.ts';
import { kindNamed } from '../natlab/kinds.mjs';
import { World } from '../natlab/world.ts';

// Every failure explains itself: why a pair is relayed or not connected, its story, and kith doctor, in the networks of the NAT lab.

let lab: Lab;
let world: World;

beforeAll(async () => {
  lab = await Lab.create({ name: 'diagnosis' });
  world = await World.create(lab);
});

afterAll(async () => {
  await lab?.destroy();
});

async function pair(a: string, b: string): Promise<[KithNode, KithNode]> {
  const group = `${a}-${b}`;
  await world.hub.createGroup(group);
  const [one, other] = await world.sites(kindNamed(a), kindNamed(b));
  const nodes = [(await world.node(one, group)).node, (await world.node(other, group)).node] as const;
  await Promise.all(nodes.map((node) => node.up()));
  return [nodes[0], nodes[1]];
}

async function linkWhere(
  node: KithNode,
  what: string,
  wished: (link: LinkStatus) => boolean,
): Promise<LinkStatus> {
  const { links } = await node.waitUntil(what, (status) => status.links.some(wished), 40_000);
  const link = links.find(wished);
  if (link === undefined) throw new Error('waitUntil gave what was not wished');
  return link;
}

const BOTH = 'relayed: both NATs map ports per destination';

test('two symmetric NATs: both ends know that theirs and the other map ports per destination', async () => {
  const nodes = await pair('symmetric', 'symmetric');
  try {
    for (const node of nodes) {
      const link = await linkWhere(node, `${BOTH}`, ({ why_path }) => why_path === BOTH);
      expect(link.network).toMatchObject({ ip4: 'per-destination' });
      expect(await node.statusText()).toContain(`  ${BOTH}\n`);
    }
    const [a] = nodes;
    const story = await a.kith('status', 'symmetric-b');
    expect(story.code).toBe(0);
    expect(story.stdout).toContain(BOTH);
    expect(story.stdout).toMatch(/attempt \d+ begins/);
    expect(story.stdout).toMatch(/online, channel/);
    expect(story.stdout).toMatch(/the peer's addresses: .*relay/);

    const doctor = await a.kith('doctor', '--json');
    const { findings } = JSON.parse(doctor.stdout);
    expect(findings).toContainEqual(expect.objectContaining({ check: 'nat', level: 'warn' }));
    expect(findings).toContainEqual(expect.objectContaining({ check: 'hub', level: 'ok' }));
    expect(findings).toContainEqual(expect.objectContaining({ check: 'tap', level: 'ok' }));
    expect(doctor.code).toBe(0);
  } finally {
    await Promise.all(nodes.map((node) => node.down()));
  }
});

test('a peer that has gone keeps its story', async () => {
  const [a, b] = await pair('none', 'port-restricted');
  try {
    await linkWhere(a, 'direct', ({ carrier, why_path }) => carrier === 'direct' && why_path === null);
    await b.down();
    const link = await linkWhere(a, 'offline', ({ state }) => state === 'offline');
    expect(link.why_path).toBe('not connected: port-restricted-b has no node signed in at the hub');
    const { stdout } = await a.kith('status', '--events', 'port-restricted-b');
    expect(stdout).toMatch(/attempt \d+ ended: /);
    expect(stdout).toContain('signed in at the hub no more');
  } finally {
    await Promise.all([a, b].map((node) => node.down().catch(() => undefined)));
  }
});

test.each([
  ['port-restricted', 'ipv6-only'],
  ['symmetric', 'ipv4-broken'],
])('%s and %s have no family in common: relayed, and both say so', async (one, other) => {
  const nodes = await pair(one, other);
  try {
    for (const node of nodes) {
      await linkWhere(node, 'relayed for want of a common family', ({ state, why_path }) => {
        return state === 'online' && /^relayed: this node has UDP by IPv\d only, and /.test(why_path ?? '');
      });
    }
  } finally {
    await Promise.all(nodes.map((node) => node.down()));
  }
});
