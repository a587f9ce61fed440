// What breaks, and how long until it works again: tincan and the controller killed, the hub gone and back, a member removed.
import { type Spread, spread } from '../bench-vpn/statistics.ts';
import {
  ALICE,
  firstReply,
  GROUP,
  isLinked,
  type KithNode,
  OVERLAY_INTERFACE,
  type Pair,
  ping,
  startPair,
  untilLinked,
} from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { pidOf } from './node-processes.ts';

const TIMEOUT_MS = 120_000;
const PING_INTERVAL_MS = 20;

await runBench({
  name: 'recovery',
  options: { runs: 5 },
  work: async ({ lab, options, channelOnly }) => {
    const pair = await startPair(lab, channelOnly);
    const stories = { tincanKilled, bothTincansKilled, controllerKilled, hubKilled, memberRemoved };
    const results: Record<string, number[]> = {};
    for (const [name, story] of Object.entries(stories)) {
      for (let run = 1; run <= options.runs; run++) {
        for (const [what, value] of Object.entries(await story(pair))) {
          say(`${name} ${run}: ${what} ${rounded(value)}`);
          results[`${name} ${what}`] = [...(results[`${name} ${what}`] ?? []), value];
        }
      }
    }
    const spreads = Object.entries(results).map(([name, values]) => [name, spread(values)] as const);
    table(
      ['what', 'median', 'min', 'max'],
      spreads.map(([name, { median, min, max }]) => [name, rounded(median), rounded(min), rounded(max)]),
    );
    return { results: Object.fromEntries(spreads.map(([name, figures]) => [name, shortened(figures)])) };
  },
});

async function tincanKilled(pair: Pair): Promise<Record<string, number>> {
  const at = performance.now();
  process.kill(await pidOf(pair.alice, 'tincan'), 'SIGKILL');
  const replyAt = await pinged(pair);
  await untilLinked(pair);
  await fresh(pair.alice);
  await untilLinked(pair);
  return { 'first ping, ms': replyAt - at };
}

async function bothTincansKilled(pair: Pair): Promise<Record<string, number>> {
  const pids = [await pidOf(pair.alice, 'tincan'), await pidOf(pair.bob, 'tincan')];
  const at = performance.now();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  const replyAt = await pinged(pair);
  await untilLinked(pair);
  await fresh(pair.alice, pair.bob);
  await untilLinked(pair);
  return { 'first ping, ms': replyAt - at };
}

async function controllerKilled(pair: Pair): Promise<Record<string, number>> {
  const { alice, bob } = pair;
  const opened = (await alice.status()).counters.links_opened;
  const pid = await pidOf(alice, 'controller');
  const count = 150;
  const traffic = ping(bob.host, ALICE, { count, intervalMs: PING_INTERVAL_MS });
  const at = performance.now();
  process.kill(pid, 'SIGKILL');
  const status = await alice.waitUntil('taken over', isLinked, TIMEOUT_MS);
  const takenOver = performance.now() - at;
  const { received } = await traffic;
  const reopened = (status.counters.links_opened ?? 0) - (opened ?? 0);
  await fresh(alice);
  await untilLinked(pair);
  return {
    'hub and link again, ms': takenOver,
    'pings lost of 150': count - received,
    'links reopened': reopened,
  };
}

async function hubKilled(pair: Pair): Promise<Record<string, number>> {
  const { hub, alice, bob } = pair;
  const count = 200;
  const traffic = ping(bob.host, ALICE, { count, intervalMs: PING_INTERVAL_MS });
  await hub.kill9();
  for (const node of [alice, bob])
    await node.waitUntil('without hub', ({ hub: { state } }) => state !== 'online', TIMEOUT_MS);
  const { received } = await traffic;
  await hub.start();
  const at = performance.now();
  await Promise.all([alice, bob].map((node) => node.waitUntil('online again', isLinked, TIMEOUT_MS)));
  return {
    'pings lost of 200': count - received,
    'both online after the hub serves, ms': performance.now() - at,
  };
}

async function memberRemoved(pair: Pair): Promise<Record<string, number>> {
  const { hub, alice } = pair;
  const removedAt = performance.now();
  // The hub's answer comes after its roster pushes may have been acted upon, so the clock starts with the order.
  const [, lostAt] = await Promise.all([
    hub.removeFromGroup('bob', GROUP),
    alice
      .waitUntil('without bob', (status) => !status.links.some((link) => link.state === 'online'))
      .then(() => performance.now()),
  ]);
  const addedAt = performance.now();
  await hub.addToGroup('bob', GROUP);
  const replyAt = await pinged(pair);
  await untilLinked(pair);
  return { 'link lost, ms': lostAt - removedAt, 'added again: first ping, ms': replyAt - addedAt };
}

function pinged({ bob }: Pair): Promise<number> {
  return firstReply(bob.host, OVERLAY_INTERFACE, ALICE, TIMEOUT_MS);
}

/** A process that dies again within a minute waits before it is started, which would be measured with it. */
async function fresh(...nodes: readonly KithNode[]): Promise<void> {
  for (const node of nodes) {
    await node.down();
    await node.up();
  }
}

function shortened({ median, min, max }: Spread): Spread {
  return { median: rounded(median), min: rounded(min), max: rounded(max) };
}
