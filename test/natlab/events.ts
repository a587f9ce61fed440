import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '@kith/base';
import { HOST_INTERFACE, type Host, run } from '../lab/index.ts';
import { isAtNewHub, moveHub, moveHubBack } from './hub-address.ts';
import { restoreRelays, silenceRelayInUse } from './relays.ts';
import { LAN, WAN } from './rules.ts';
import { HOME4, SECOND_HOME4, type Site } from './site.ts';
import type { End } from './why.ts';
import type { World } from './world.ts';

export interface RunningPair {
  world: World;
  a: Site;
  b: Site;
  ends: [End, End];
}

export interface EventContext {
  suspendMs: number;
}

export interface RecoveryEvent {
  name: string;
  /** Kinds of network of the two ends. */
  kinds: readonly [string, string];
  /** The best path that the pair has, before and after. */
  best: 'direct' | 'relayed';
  /** The pair is only well again when both are online at the hub. */
  needsHub?: boolean;
  /** The silence counts from the end of `happen`, and the share of answers until then. */
  lasts?: boolean;
  /** Once, before the nodes start. */
  prepare?(pair: RunningPair): Promise<void>;
  happen(pair: RunningPair, context: EventContext): Promise<void>;
  /** What else must be so before the pair counts as well again. */
  isWell?(pair: RunningPair): Promise<boolean>;
  /** Makes it undone before the next run. */
  restore?(pair: RunningPair): Promise<void>;
}

const LOSS_MS = 20_000;
const BLACK_HOLE_MS = 20_000;

function routerOf(site: Site): Host {
  if (site.router === undefined) throw new SystemError('NO_ROUTER', `${site.host.name} has no router`);
  return site.router;
}

async function ip(host: Host, ...commands: string[]): Promise<void> {
  await run('ip', ['-n', host.namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** Rules that a router forwards by besides its own, until `lift`. */
async function impose(router: Host, ...rules: string[]): Promise<void> {
  const text = `table inet trouble {\n chain forward {\n type filter hook forward priority -10;\n ${rules.join('\n ')}\n }\n}\n`;
  await router.run('nft', ['-f', '-'], { input: text });
}

async function lift(router: Host): Promise<void> {
  await router.exec('nft', ['delete', 'table', 'inet', 'trouble']);
}

/** The host gets another address in its own LAN, as by a new DHCP lease. */
async function changeAddress({ a }: RunningPair): Promise<void> {
  const next = a.host.ip4.endsWith('.2') ? `${HOME4}.102` : `${HOME4}.2`;
  await a.host.setAddress({ ip4: next });
  await ip(a.host, `route add default via ${HOME4}.1 dev ${HOST_INTERFACE}`);
}

/** A second card, on a second router of the same kind with an outer address of its own. */
async function addSecondCard({ world, a }: RunningPair): Promise<void> {
  const second = await world.secondRouter(a);
  if ((await a.host.exec('ip', ['link', 'show', 'eth1'])).code === 0) return;
  await run('ip', [
    ...['-n', second.namespace, 'link', 'add', 'name', 'second', 'type', 'veth'],
    ...['peer', 'name', 'eth1', 'netns', a.host.namespace],
  ]);
  await ip(second, `link set dev second master ${LAN} up`);
  await ip(a.host, `address add ${SECOND_HOME4}.2/24 dev eth1`, 'link set dev eth1 up');
}

/** Moves the default route to the card that does not have it; both stay up. */
async function moveRoute({ a }: RunningPair): Promise<void> {
  const now = await a.host.run('ip', ['route', 'show', 'default']);
  const next = now.includes(`dev ${HOST_INTERFACE}`)
    ? `via ${SECOND_HOME4}.1 dev eth1`
    : `via ${HOME4}.1 dev ${HOST_INTERFACE}`;
  await ip(a.host, `route replace default ${next}`);
}

/** The cable of the card with the default route is pulled, and the other card takes over. */
async function pullCable(pair: RunningPair): Promise<void> {
  await ip(pair.a.host, `link set dev ${HOST_INTERFACE} down`);
  await ip(pair.a.host, `route replace default via ${SECOND_HOME4}.1 dev eth1`);
}

/**
 * The router forgets its mappings: masquerading ends with the address that it used (nf_nat_masquerade drops the connections), and a new
 * address that is the old one starts afresh.
 */
async function forgetMappings({ a }: RunningPair): Promise<void> {
  const router = routerOf(a);
  await ip(router, `address delete ${router.ip4}/24 dev ${WAN}`, `address add ${router.ip4}/24 dev ${WAN}`);
}

/** The provider gives the router another outer address. */
async function renumberRouter({ a }: RunningPair): Promise<void> {
  const router = routerOf(a);
  const last = Number(router.ip4.split('.')[3]);
  await router.setAddress({ ip4: `203.0.113.${last < 100 ? last + 100 : last - 100}` });
}

const toAndFrom = (other: Host, what: string): string[] => [
  `ip daddr ${other.ip4} ${what} drop`,
  `ip saddr ${other.ip4} ${what} drop`,
];

async function suspend({ a }: RunningPair, { suspendMs }: EventContext): Promise<void> {
  const pids = await a.host.pids();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    await pause(suspendMs);
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

const home = ['port-restricted', 'port-restricted'] as const;

export const EVENTS: readonly RecoveryEvent[] = [
  { name: 'address-change', kinds: home, best: 'direct', happen: changeAddress },
  {
    name: 'default-route-moves',
    kinds: ['port-restricted', 'full-cone'],
    best: 'direct',
    prepare: addSecondCard,
    happen: moveRoute,
  },
  {
    name: 'cable-pulled',
    kinds: ['port-restricted', 'full-cone'],
    best: 'direct',
    prepare: addSecondCard,
    happen: pullCable,
    async restore({ a }) {
      await ip(a.host, `link set dev ${HOST_INTERFACE} up`);
      await ip(a.host, `route replace default via ${HOME4}.1 dev ${HOST_INTERFACE}`);
    },
  },
  { name: 'conntrack-flushed', kinds: home, best: 'direct', happen: forgetMappings },
  {
    name: 'conntrack-flushed-symmetric',
    kinds: ['symmetric', 'full-cone'],
    best: 'direct',
    happen: forgetMappings,
  },
  { name: 'router-renumbered', kinds: home, best: 'direct', happen: renumberRouter },
  {
    // Only the direct carrier's datagrams: the data channel has a path of its own.
    name: 'direct-black-holed',
    kinds: home,
    best: 'direct',
    async happen({ a, b, ends }) {
      const path = (await ends[0].node.status()).links[0]?.path ?? '';
      const port = /:(\d+)$/.exec(path)?.[1] ?? '0';
      const other = routerOf(b).ip4;
      await impose(
        routerOf(a),
        `ip daddr ${other} udp dport ${port} drop`,
        `ip saddr ${other} udp sport ${port} drop`,
      );
      await pause(BLACK_HOLE_MS);
      await lift(routerOf(a));
    },
  },
  {
    // Everything between the two: only the relay is left.
    name: 'path-black-holed',
    kinds: home,
    best: 'direct',
    async happen({ a, b }) {
      await impose(routerOf(a), ...toAndFrom(routerOf(b), 'meta l4proto udp'));
      await pause(BLACK_HOLE_MS);
      await lift(routerOf(a));
    },
  },
  { name: 'suspend', kinds: home, best: 'direct', needsHub: true, lasts: true, happen: suspend },
  {
    name: 'ejabberd-restarted',
    kinds: home,
    best: 'direct',
    needsHub: true,
    happen: async ({ world }) => {
      await world.hub.kill9();
      await world.hub.start();
    },
  },
  {
    name: 'ejabberd-restarted-relayed',
    kinds: ['symmetric', 'symmetric'],
    best: 'relayed',
    needsHub: true,
    happen: async ({ world }) => {
      await world.hub.kill9();
      await world.hub.start();
    },
  },
  {
    name: 'hub-address-changed',
    kinds: home,
    best: 'direct',
    needsHub: true,
    happen: ({ world }) => moveHub(world),
    isWell: async ({ a, b }) => (await isAtNewHub(a.host)) && (await isAtNewHub(b.host)),
    restore: ({ world }) => moveHubBack(world),
  },
  {
    // The machine of the relay in use falls silent, and a second relay is there.
    name: 'turn-killed',
    kinds: ['symmetric', 'symmetric'],
    best: 'relayed',
    happen: ({ world, ends }) => silenceRelayInUse(world, ends),
    restore: ({ world }) => restoreRelays(world),
  },
  {
    name: 'loss-30-percent',
    kinds: home,
    best: 'direct',
    lasts: true,
    async happen({ a }) {
      await impose(routerOf(a), 'numgen random mod 100 < 30 drop');
      await pause(LOSS_MS);
      await lift(routerOf(a));
    },
  },
];
