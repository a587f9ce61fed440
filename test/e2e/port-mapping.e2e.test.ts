import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatusReport } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ejabberd, HOST_INTERFACE, type Host, KithNode, Lab, ping, run } from '../lab/index.ts';

// Two nodes behind NATs that give every destination another port and let in answers only: they never find each other, unless their
// routers map a port for them. The routers run Debian's miniupnpd: one speaks PCP, the other UPnP alone.

const LAN = 'lan';

/**
 * miniupnpd maps nothing for a router whose outer address is one of documentation, as the lab's are. 44.128.0.0/16 is AMPRNet's range
 * for tests, which nobody is reached at.
 */
const outer = (home: string): string => `44.128.0.${home.split('.')[2]}`;

let lab: Lab;
let hub: Ejabberd;
let anna: Host;
let bert: Host;
let annasRouter: Host;
let bertsRouter: Host;

/** A router with a symmetric NAT, and the chains that miniupnpd fills. */
async function router(name: string, home: string): Promise<Host> {
  const host = await lab.host(name);
  await host.run('sh', ['-ec', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  await run('ip', ['-n', host.namespace, '-batch', '-'], {
    input: [
      `link add name ${LAN} type bridge mcast_snooping 0`,
      `address add ${home}.1/24 dev ${LAN}`,
      `address add ${outer(home)}/24 dev ${HOST_INTERFACE}`,
      `link set dev ${LAN} up`,
      '',
    ].join('\n'),
  });
  const rules = `
    table inet filter {
      chain input {
        type filter hook input priority filter;
        iifname "${HOST_INTERFACE}" meta l4proto udp drop
      }
      chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "${LAN}" oifname "${HOST_INTERFACE}" accept
        jump miniupnpd
      }
      chain miniupnpd { }
      chain prerouting {
        type nat hook prerouting priority dstnat;
        jump prerouting_miniupnpd
      }
      chain prerouting_miniupnpd { }
      chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "${HOST_INTERFACE}" masquerade fully-random
      }
      chain postrouting_miniupnpd { }
    }`;
  await host.run('nft', ['-f', '-'], { input: rules });
  return host;
}

async function behind(host: Host, name: string, home: string): Promise<Host> {
  const inside = await lab.hostBehind(host, LAN, name, { ip4: `${home}.2`, ip6: '' });
  await inside.run('ip', ['route', 'add', 'default', 'via', `${home}.1`, 'dev', HOST_INTERFACE]);
  return inside;
}

async function startMiniupnpd(host: Host, home: string, settings: readonly string[]): Promise<void> {
  const file = join(await lab.directory(host.name), 'miniupnpd.conf');
  const lines = [
    `ext_ifname=${HOST_INTERFACE}`,
    `ext_ip=${outer(home)}`,
    `listening_ip=${LAN}`,
    'secure_mode=yes',
    'uuid=5869a1eb-2caf-4cb0-959f-5ffe950cd2dd',
    ...settings,
    `allow 1024-65535 ${home}.0/24 1024-65535`,
    'deny 0-65535 0.0.0.0/0 0-65535',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const args = ['-d', '-f', file, '-P', `${file}.pid`];
  const child = host.spawn('miniupnpd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  const { stderr } = child;
  if (stderr === null) throw new Error('miniupnpd has no standard error');
  stderr.on('data', (text: Buffer) => {
    said = `${said}${text}`.slice(-10_000);
  });
  while (!/HTTP listening on port|Listening for NAT-PMP/.test(said)) {
    const ended = child.exitCode !== null;
    if (ended) throw new Error(`miniupnpd ended: ${said}`);
    await Promise.race([once(stderr, 'data'), once(child, 'exit')]);
  }
}

beforeAll(async () => {
  lab = await Lab.create({ name: 'portmap' });
  hub = await Ejabberd.start(lab);
  annasRouter = await router('annas-router', '192.168.11');
  bertsRouter = await router('berts-router', '192.168.12');
  anna = await behind(annasRouter, 'anna', '192.168.11');
  bert = await behind(bertsRouter, 'bert', '192.168.12');
  await startMiniupnpd(annasRouter, '192.168.11', ['enable_natpmp=yes', 'enable_upnp=no']);
  await startMiniupnpd(bertsRouter, '192.168.12', ['enable_natpmp=no', 'enable_upnp=yes']);
  await hub.createGroup('friends');
  for (const user of ['anna', 'bert']) {
    await hub.register(user, 'secret');
    await hub.addToGroup(user, 'friends');
  }
});

afterAll(async () => {
  await lab?.destroy();
});

async function nodes(mapping: 'auto' | 'off', hosts: readonly Host[] = [anna, bert]): Promise<KithNode[]> {
  return Promise.all(
    hosts.map((host) =>
      KithNode.create(lab, hub, host, {
        ...{ user: host.name, password: 'secret', group: 'friends' },
        ip4: host === anna ? '172.31.0.1/24' : '172.31.0.2/24',
        config: { direct: { port_mapping: mapping } },
      }),
    ),
  );
}

const linked = (status: StatusReport) => status.links[0]?.state === 'online';
const mappingOf = (status: StatusReport) => status.direct?.port_mapping;
const mappings = (host: Host) =>
  host
    .run('nft', ['list', 'chain', 'inet', 'filter', 'prerouting_miniupnpd'])
    .then((text) => text.match(/dnat/g) ?? []);

test('without a mapping the two are linked by the relay only', async () => {
  const both = await nodes('off');
  await Promise.all(both.map((node) => node.up()));
  for (const node of both) await node.waitUntil('linked', linked, 60_000);
  const pings = await ping(anna, '172.31.0.2', { count: 30, intervalMs: 100, patienceMs: 3_000 });
  expect(pings.received).toBeGreaterThan(0);
  for (const node of both) {
    const status = await node.status();
    expect(status.links[0]?.path).toMatch(/relay|turn/);
    expect(mappingOf(status)).toMatchObject({ state: 'off', detail: 'direct.port_mapping is "off"' });
  }
  await Promise.all(both.map((node) => node.down()));
  expect([await mappings(annasRouter), await mappings(bertsRouter)]).toEqual([[], []]);
});

test('mapped ports make a direct path, and are taken back at the end', async () => {
  const both = await nodes('auto');
  const [a, b] = both;
  if (a === undefined || b === undefined) throw new Error('two nodes were made');
  await Promise.all(both.map((node) => node.up()));
  const state = (by: string) => (status: StatusReport) => mappingOf(status)?.by === by;
  const atA = mappingOf(await a.waitUntil('mapped by PCP', state('pcp')));
  const atB = mappingOf(await b.waitUntil('mapped by UPnP', state('upnp')));
  expect(atA).toMatchObject({
    state: 'mapped',
    address: expect.stringContaining(`${outer('192.168.11')}:`),
    detail: null,
  });
  expect(atB).toMatchObject({
    state: 'mapped',
    address: expect.stringContaining(`${outer('192.168.12')}:`),
    detail: null,
  });
  const isDirect = ({ links: [link] }: StatusReport) =>
    link?.carrier === 'direct' && !/relay|turn/.test(link.path ?? '');
  for (const node of both) await node.waitUntil('direct', isDirect, 60_000);
  expect((await ping(anna, '172.31.0.2', { count: 5, intervalMs: 100 })).received).toBeGreaterThan(0);
  expect([(await mappings(annasRouter)).length, (await mappings(bertsRouter)).length]).toEqual([1, 1]);
  await Promise.all(both.map((node) => node.down()));
  expect([await mappings(annasRouter), await mappings(bertsRouter)]).toEqual([[], []]);
});
