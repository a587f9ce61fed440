import { setTimeout as pause } from 'node:timers/promises';
import type { LinkStatus, StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ejabberd, firstReply, type Host, KithNode, Lab, OVERLAY_INTERFACE, ping } from '../lab/index.ts';

/** How long the credentials of the brief hub are good: the nodes ask for new ones after two thirds, ten seconds at least. */
const LIFE_S = 18;

let lab: Lab;
let hub: Ejabberd;
let pairs = 0;

beforeAll(async () => {
  lab = await Lab.create({ name: 'relay' });
  hub = await Ejabberd.start(lab);
});

afterAll(async () => {
  await lab?.destroy();
});

type Settings = Record<string, Record<string, unknown>>;

interface End {
  node: KithNode;
  address: string;
}

/**
 * What passes a host's cable: of TCP these ports, of UDP all or nothing. At the card itself, as a firewall elsewhere would drop it: what
 * the host's own rules drop is told to the sender (EPERM).
 */
async function letPass(host: Host, what: { udp: boolean; tcp: readonly number[] }): Promise<void> {
  const chain = (hook: 'ingress' | 'egress', port: 'sport' | 'dport') =>
    [
      `  chain ${hook} {`,
      `    type filter hook ${hook} device "eth0" priority 0; policy drop;`,
      '    ether type arp accept',
      '    meta l4proto { icmp, ipv6-icmp } accept',
      ...(what.udp ? ['    meta l4proto udp accept'] : []),
      `    tcp ${port} { ${what.tcp.join(', ')} } accept`,
      '  }',
    ].join('\n');
  const rules = ['table netdev fence', 'delete table netdev fence', 'table netdev fence {']
    .concat(chain('ingress', 'sport'), chain('egress', 'dport'), '}')
    .join('\n');
  await host.run('nft', ['-f', '-'], { input: `${rules}\n` });
}

/** Two nodes in a group of their own, not yet running. */
async function pairOf(config: Settings = {}, at: Ejabberd = hub): Promise<[End, End]> {
  const number = ++pairs;
  const group = `pair-${number}`;
  await at.createGroup(group);
  const create = async (side: 1 | 2): Promise<End> => {
    const user = `${side === 1 ? 'anna' : 'bert'}-${number}`;
    const address = `172.31.${number}.${side}`;
    await at.register(user, 'secret');
    await at.addToGroup(user, group);
    const node = await KithNode.create(lab, at, await lab.host(user), {
      ...{ user, password: 'secret', ip4: `${address}/24`, group, config },
    });
    return { node, address };
  };
  return [await create(1), await create(2)];
}

const only = (status: StatusReport): LinkStatus | undefined => status.links[0];
const isOnline = (status: StatusReport): boolean => only(status)?.state === 'online';
/** Sealed datagrams by a relay, on which a link stays: the data channel carries only until then. */
const isSettled = (status: StatusReport): boolean => isOnline(status) && only(status)?.carrier === 'direct';

/** Starts both; how long after both were online at the hub the first ping was answered, ms. */
async function upUntilPing([a, b]: [End, End]): Promise<number> {
  const reply = firstReply(b.node.host, OVERLAY_INTERFACE, a.address, 30_000);
  await Promise.all([a.node.up(), b.node.up()]);
  const repliedAt = await reply;
  const online = await Promise.all(
    [a, b].map(async ({ node }) => {
      const now = performance.now();
      return now - (await node.status()).hub.since_ms;
    }),
  );
  return repliedAt - Math.max(...online);
}

const down = (ends: readonly End[]) => Promise.all(ends.map(({ node }) => node.down()));

test('two nodes whose UDP is blocked reach each other over TURN by TCP', async () => {
  const ends = await pairOf();
  for (const { node } of ends)
    await letPass(node.host, { udp: false, tcp: [hub.ports.starttls, hub.ports.stun] });
  const ms = await upUntilPing(ends);
  console.log(`first ping over TURN by TCP at both ends: ${Math.round(ms)} ms`);
  const status = await ends[0].node.waitUntil('linked', isOnline);
  // The data channel carries until the direct carrier has a relay of its own by the same way.
  expect(only(status)).toMatchObject({
    path: expect.stringMatching(`^relay .* via tcp ${hub.host.ip4}:${hub.ports.stun}$`),
  });
  const pinged = await ping(ends[0].node.host, ends[1].address, { count: 20, intervalMs: 50 });
  expect(pinged.received).toBe(20);
  await down(ends);
});

test('where only the port of TURN over TLS is open at one end, that is what it uses', async () => {
  const ends = await pairOf();
  await letPass(ends[0].node.host, { udp: false, tcp: [hub.ports.starttls, hub.ports.turns] });
  const ms = await upUntilPing(ends);
  console.log(`first ping over TURN by TLS at one end: ${Math.round(ms)} ms`);
  const status = await ends[0].node.waitUntil('linked', isOnline);
  expect(only(status)).toMatchObject({
    path: expect.stringMatching(`^relay .* via tls ${hub.host.ip4}:${hub.ports.turns}$`),
  });
  expect((await ping(ends[0].node.host, ends[1].address, { count: 20, intervalMs: 50 })).received).toBe(20);
  await down(ends);
});

/** Breaks a host's TCP connections to a port, as a server that is restarted does, and lets no new ones through. */
async function breakConnections(host: Host, port: number, stillOpen: readonly number[]): Promise<void> {
  await letPass(host, { udp: false, tcp: stillOpen });
  await host.run('ss', ['-K', 'dport', '=', `:${port}`]);
}

test('when the connection to the relay breaks, the pair is back over another', async () => {
  const ends = await pairOf();
  const { host } = ends[0].node;
  const { starttls, stun, turns } = hub.ports;
  await letPass(host, { udp: false, tcp: [starttls, stun, turns] });
  await upUntilPing(ends);
  const { path } = only(await ends[0].node.waitUntil('linked', isOnline)) ?? {};
  const [used, other] = path?.includes(' via tls ') === true ? [turns, stun] : [stun, turns];
  const brokeAt = performance.now();
  await breakConnections(host, used, [starttls, other]);
  await ends[0].node.waitUntil(
    'linked by the other port',
    (status) => isOnline(status) && only(status)?.path?.endsWith(`:${other}`) === true,
  );
  console.log(`back over another connection after ${Math.round(performance.now() - brokeAt)} ms`);
  // The other end may still have to notice.
  await firstReply(host, OVERLAY_INTERFACE, ends[1].address, 10_000);
  expect((await ping(host, ends[1].address, { count: 10, intervalMs: 50, patienceMs: 3_000 })).received).toBe(
    10,
  );
  await down(ends);
});

test('credentials that end cut no running link, and a link that begins later has new ones', async () => {
  // Another hub of its own, whose credentials end while the test looks on.
  const brief = await Ejabberd.start(lab, {
    host: 'brief',
    domain: 'brief.test',
    turnCredentials: `${LIFE_S}s`,
  });
  const ends = await pairOf({}, brief);
  const { host } = ends[0].node;
  const ports = [brief.ports.starttls, brief.ports.stun];
  await letPass(host, { udp: false, tcp: ports });
  await upUntilPing(ends);
  const before = await ends[0].node.waitUntil('linked', isSettled);
  // The end of the credentials is a matter of the clock, in both machines.
  await pause(LIFE_S * 1_000 + 2_000);
  expect((await ping(host, ends[1].address, { count: 10, intervalMs: 50 })).received).toBe(10);
  const after = await ends[0].node.status();
  // The same link over the same streams; which of the peer's addresses they lead to may have changed.
  for (const counter of ['links_opened', 'turn_streams_lost'])
    expect(after.counters[counter]).toBe(before.counters[counter]);
  const opened = after.counters.turn_streams_opened ?? 0;
  await breakConnections(host, brief.ports.stun, ports);
  await ends[0].node.waitUntil(
    'linked by a new allocation',
    (status) => (status.counters.turn_streams_opened ?? 0) > opened && isSettled(status),
  );
  expect((await ping(host, ends[1].address, { count: 10, intervalMs: 50, patienceMs: 3_000 })).received).toBe(
    10,
  );
  await down(ends);
});
