import { setTimeout as pause } from 'node:timers/promises';
import type { LinkStatus, StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ejabberd, KithNode, Lab, measureTcp, ping } from '../lab/index.ts';
import { LyingHub } from './lying-hub.ts';

/** Fixed, so that a test can cut just this carrier. */
const DIRECT_PORT = 5801;

let lab: Lab;
let hub: Ejabberd;
let pairs = 0;

beforeAll(async () => {
  lab = await Lab.create({ name: 'direct' });
  hub = await Ejabberd.start(lab);
});

afterAll(async () => {
  await lab?.destroy();
});

type Settings = Record<string, Record<string, unknown>>;

interface Pair {
  nodes: [KithNode, KithNode];
  addresses: [string, string];
  down(): Promise<void>;
}

/** Two linked nodes with configs of their own, in a group of their own. */
async function pairOf(first: Settings, second: Settings, server?: string): Promise<Pair> {
  const number = ++pairs;
  const group = `pair-${number}`;
  await hub.createGroup(group);
  const addresses: [string, string] = [`172.31.${number}.1`, `172.31.${number}.2`];
  const create = async (side: 0 | 1, config: Settings): Promise<KithNode> => {
    const user = `${side === 0 ? 'anna' : 'bert'}-${number}`;
    await hub.register(user, 'secret');
    await hub.addToGroup(user, group);
    return KithNode.create(lab, hub, await lab.host(user), {
      ...{ user, password: 'secret', ip4: `${addresses[side]}/24`, group, config },
      ...(server === undefined ? {} : { server }),
    });
  };
  const nodes: [KithNode, KithNode] = [await create(0, first), await create(1, second)];
  await Promise.all(nodes.map((node) => node.up()));
  return { nodes, addresses, down: async () => void (await Promise.all(nodes.map((node) => node.down()))) };
}

const only = (status: StatusReport): LinkStatus | undefined => status.links[0];
const carriedBy = (carrier: 'direct' | 'channel') => (status: StatusReport) =>
  only(status)?.carrier === carrier;

async function untilBoth(pair: Pair, what: string, wished: (status: StatusReport) => boolean): Promise<void> {
  for (const node of pair.nodes) await node.waitUntil(what, wished, 60_000);
}

async function pings({ nodes, addresses }: Pair, count: number): Promise<number> {
  return (await ping(nodes[0].host, addresses[1], { count, intervalMs: 100, patienceMs: 3_000 })).received;
}

test('a pair moves to the direct carrier by itself, encrypted, and TCP passes it', async () => {
  const pair = await pairOf({}, {});
  await untilBoth(pair, 'direct', carriedBy('direct'));
  expect(only(await pair.nodes[0].status())).toMatchObject({
    security: 'encrypted',
    path: expect.stringMatching(/^direct /),
  });
  const { mbps } = await measureTcp(pair.nodes[0].host, pair.nodes[1].host, pair.addresses[1], 2);
  expect(mbps).toBeGreaterThan(0);
  const { counters } = await pair.nodes[1].status();
  expect(counters).toMatchObject({ dropped_forged: 0, dropped_replayed: 0, dropped_bad_chunk: 0 });
  await pair.down();
});

/** From now on no datagram of the direct carrier comes to the node, until what is returned is called. */
async function cut({ host }: KithNode): Promise<() => Promise<unknown>> {
  const rules = [
    'table inet cut {',
    '  chain input {',
    '    type filter hook input priority 0',
    `    udp dport ${DIRECT_PORT} drop`,
    '  }',
    '}',
  ].join('\n');
  await host.run('nft', ['-f', '-'], { input: rules });
  return () => host.run('nft', ['delete', 'table', 'inet', 'cut']);
}

test('when its datagrams stop passing, the channel carries on, and the direct carrier returns when they pass again', async () => {
  const settings = { direct: { port: DIRECT_PORT } };
  const pair = await pairOf(settings, settings);
  await untilBoth(pair, 'direct', carriedBy('direct'));
  const mend = await cut(pair.nodes[0]);
  const running = pings(pair, 60);
  await untilBoth(pair, 'on the channel', carriedBy('channel'));
  // Sixty pings take six seconds, of which a dead path may cost three.
  expect(await running).toBeGreaterThan(25);
  await mend();
  await untilBoth(pair, 'direct again', carriedBy('direct'));
  expect(await pings(pair, 10)).toBeGreaterThan(0);
  await pair.down();
});

test('a link that rests is under close watch from its first packet on: a path that died meanwhile costs no more', async () => {
  const settings = { direct: { port: DIRECT_PORT } };
  const pair = await pairOf(settings, settings);
  await untilBoth(pair, 'direct', carriedBy('direct'));
  expect(await pings(pair, 3)).toBe(3);
  // The kernel asks once more for the other's MAC, 5 s later; without packets for 20 s a link is calm, and at the next looks it rests.
  await pause(32_000);
  const mend = await cut(pair.nodes[0]);
  // The first of them may be lost, and two seconds and a half of the rest.
  expect(await pings(pair, 60)).toBeGreaterThan(25);
  await mend();
  await untilBoth(pair, 'direct again', carriedBy('direct'));
  await pair.down();
});

test('ends that share no security group have a plain link, and status says why', async () => {
  const pair = await pairOf(
    { security: { mode: 'groups', groups: ['family'] } },
    { security: { mode: 'groups', groups: ['work'] } },
  );
  await untilBoth(pair, 'direct', carriedBy('direct'));
  for (const node of pair.nodes) {
    expect(only(await node.status())).toMatchObject({ security: 'plain', why: 'no common security group' });
    expect(await node.statusText()).toContain('the link is not encrypted (no common security group)');
  }
  const { mbps } = await measureTcp(pair.nodes[0].host, pair.nodes[1].host, pair.addresses[1], 2);
  expect(mbps).toBeGreaterThan(0);
  await pair.down();
});

test('a hub that empties the lists of security groups gets no plain link, and both ends report it', async () => {
  const settings = { security: { mode: 'groups', groups: ['family'] } };
  const liar = await LyingHub.open(lab, hub);
  const pair = await pairOf(settings, settings, `xmpps://${hub.domain}:${LyingHub.PORT}`);
  await untilBoth(pair, 'direct', carriedBy('direct'));
  for (const node of pair.nodes) {
    const link = only(await node.status());
    expect(link?.security).toBe('encrypted');
    expect(link?.detail).toMatch(/changed over XMPP/);
  }
  await pair.down();
  expect(await liar.close()).toBeGreaterThan(0);
});

test('with every offload switched off and a worker for each direction, the direct carrier works all the same', async () => {
  const settings = { tap: { tso: false, uso: false, workers: 2 }, direct: { gso: false, gro: false } };
  const pair = await pairOf(settings, settings);
  await untilBoth(pair, 'direct', carriedBy('direct'));
  expect(await pings(pair, 5)).toBeGreaterThan(0);
  const { mbps } = await measureTcp(pair.nodes[0].host, pair.nodes[1].host, pair.addresses[1], 2);
  expect(mbps).toBeGreaterThan(0);
  await pair.down();
});

test('with the direct carrier switched off at one end, the channel carries', async () => {
  const pair = await pairOf({ direct: { enabled: false } }, {});
  await untilBoth(pair, 'online', (status) => only(status)?.state === 'online');
  expect(await pings(pair, 5)).toBeGreaterThan(0);
  expect(only(await pair.nodes[1].status())?.carrier).toBe('channel');
  await pair.down();
});
