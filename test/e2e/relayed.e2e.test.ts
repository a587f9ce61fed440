import type { LinkStatus, StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ALICE,
  type Ejabberd,
  firstReply,
  type KithNode,
  Lab,
  makePair,
  measureTcp,
  OVERLAY_INTERFACE,
} from '../lab/index.ts';

let lab: Lab;
let hub: Ejabberd;
let alice: KithNode;
let bob: KithNode;

const only = (status: StatusReport): LinkStatus | undefined => status.links[0];
const isRelayed = (status: StatusReport): boolean =>
  only(status)?.carrier === 'direct' && only(status)?.path?.startsWith('relay ') === true;
const isDirect = (status: StatusReport): boolean => only(status)?.path?.startsWith('direct ') === true;

const both = (what: string, wished: (status: StatusReport) => boolean): Promise<unknown> =>
  Promise.all([alice, bob].map((node) => node.waitUntil(what, wished, 30_000)));

/**
 * Drops the UDP between the two nodes; `strict` leaves them the hub's STUN and TURN port alone, and no relayed address; `tls` leaves them
 * no UDP at all, and of the hub's TURN ports the one by TLS.
 */
async function part(how: 'peers' | 'strict' | 'tls'): Promise<void> {
  for (const [node, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const rules = [
      'table inet apart {',
      '  chain output {',
      '    type filter hook output priority 0',
      `    ip daddr ${other.host.ip4} meta l4proto udp drop`,
      `    ip6 daddr ${other.host.ip6} meta l4proto udp drop`,
      ...(how === 'strict' ? [`    ip daddr ${hub.host.ip4} udp dport != ${hub.ports.stun} drop`] : []),
      ...(how === 'tls' ? ['    oifname "lo" accept', '    meta l4proto udp drop'] : []),
      ...(how === 'tls' ? [`    tcp dport ${hub.ports.stun} drop`] : []),
      '  }',
      '}',
    ];
    await node.host.run('nft', ['-f', '-'], { input: `${rules.join('\n')}\n` });
  }
}

async function join(): Promise<void> {
  for (const { host } of [alice, bob]) await host.run('nft', ['delete', 'table', 'inet', 'apart']);
}

beforeAll(async () => {
  lab = await Lab.create({ name: 'relayed' });
  ({ hub, alice, bob } = await makePair(lab));
});

afterAll(async () => {
  await lab?.destroy();
});

test('a pair that only a relay joins pings within seconds, then sends sealed datagrams by it, and says so', async () => {
  await part('peers');
  await Promise.all([alice.up(), bob.up()]);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 20_000);
  await both('relayed', isRelayed);
  for (const node of [alice, bob]) {
    expect(only(await node.status())).toMatchObject({ security: 'encrypted', state: 'online' });
    expect(await node.statusText()).toContain(`relay ${hub.host.ip4}:`);
  }
  const { mbps } = await measureTcp(bob.host, alice.host, ALICE, 2);
  expect(mbps).toBeGreaterThan(0);
  const { counters } = await alice.status();
  expect(counters).toMatchObject({ dropped_forged: 0, dropped_replayed: 0, dropped_bad_chunk: 0 });
});

test('when the network lets them, they move to the direct path by themselves without losing a packet', async () => {
  const running = bob.host.exec('ping', ['-n', '-q', '-i', '0.05', '-c', '400', '-W', '2', ALICE], {
    timeoutMs: 60_000,
  });
  await join();
  await both('direct', isDirect);
  expect((await running).stdout).toContain('400 packets transmitted, 400 received');
});

test('the hub dies, and with it the relay of the control channel: the link goes on by its direct path, and is renewed when the hub is back', async () => {
  // Their ICE pair shall be a relayed one: a link made while nothing else joins them.
  await part('peers');
  await alice.down();
  await alice.up();
  await both('relayed', isRelayed);
  await join();
  await both('direct', isDirect);
  const before = await Promise.all([alice.status(), bob.status()]);
  await hub.kill9();
  // SCTP and ICE give the channel up after half a minute at most.
  const { stdout } = await bob.host.exec('ping', ['-n', '-q', '-i', '0.2', '-c', '225', '-W', '2', ALICE], {
    timeoutMs: 60_000,
  });
  expect(stdout).toContain('225 packets transmitted, 225 received');
  for (const node of [alice, bob]) expect(only(await node.status())?.state).toBe('online');
  await hub.start();
  await Promise.all(
    [alice, bob].map((node, index) =>
      node.waitUntil(
        'on a new channel',
        (status) =>
          // Attempts that nobody answers, while the hub is away, count as well.
          status.hub.state === 'online' &&
          (status.counters.links_opened ?? 0) > (before[index]?.counters.links_opened ?? 0) &&
          only(status)?.state === 'online' &&
          isDirect(status),
        90_000,
      ),
    ),
  );
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 5_000);
  // 65 s on an idle machine, of which 45 s are the pings; what waits for the hub may wait for half a minute between two tries.
}, 240_000);

test('when it lets them no more, the relay carries again within seconds', async () => {
  await part('peers');
  await both('relayed again', isRelayed);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 5_000);
});

test('ends that reach nothing but the port of the relay itself are joined from relay to relay', async () => {
  await join();
  await part('strict');
  await both(
    'relayed strictly',
    (status) => isRelayed(status) && only(status)?.path?.includes(' to ') === true,
  );
  const { mbps } = await measureTcp(bob.host, alice.host, ALICE, 2);
  expect(mbps).toBeGreaterThan(0);
});

test('where no UDP passes, sealed datagrams go by TURN over TLS at both ends, and come back when its stream breaks', async () => {
  await join();
  await part('tls');
  const byTls = (status: StatusReport): boolean =>
    isRelayed(status) && only(status)?.path?.endsWith(`via tls ${hub.host.ip4}:${hub.ports.turns}`) === true;
  await both('relayed by TLS', byTls);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 5_000);
  const { mbps } = await measureTcp(bob.host, alice.host, ALICE, 2);
  console.log(`sealed datagrams by TURN over TLS: ${Math.round(mbps)} Mbit/s`);
  expect(mbps).toBeGreaterThan(0);
  const before = (await alice.status()).counters.turn_streams_lost ?? 0;
  await alice.host.run('ss', ['-K', 'dport', '=', `:${hub.ports.turns}`]);
  await alice.waitUntil('broken', ({ counters }) => (counters.turn_streams_lost ?? 0) > before);
  await both('relayed by TLS again', byTls);
  await firstReply(bob.host, OVERLAY_INTERFACE, ALICE, 5_000);
  const { counters } = await alice.status();
  expect(counters).toMatchObject({ dropped_forged: 0, dropped_replayed: 0, dropped_bad_chunk: 0 });
});

test('and the direct path is taken when UDP passes again', async () => {
  await join();
  await both('direct', isDirect);
});
