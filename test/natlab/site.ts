import { HOST_INTERFACE, type Host, type Lab, run } from '../lab/index.ts';
import type { Kind } from './kinds.mjs';
import { carrierRules, LAN, routerRules, SMALL_MTU, WAN } from './rules.ts';

/** One end of a cell: a host, and the router in front of it. */
export interface Site {
  kind: Kind;
  host: Host;
  /** The router at the host's home; undefined where there is none. */
  router: Host | undefined;
  /** The IPv6 network behind the router, for those who need a route to it. */
  prefix6: string | undefined;
}

/** Every home has the same addresses, as most have: a peer's own address may be one of a neighbour. */
export const HOME4 = '192.168.1';
/** The home behind a host's second card. */
export const SECOND_HOME4 = '192.168.2';
/** RFC 6598: between home routers and the carrier's NAT. */
const CARRIER4 = '100.64.0';

/** Builds networks of any kind in a lab. Names of hosts are unique in the lab; the network behind an IPv6 router is `number`'s. */
export class SiteBuilder {
  readonly #lab: Lab;
  /** Everybody on the switch who talks IPv6 must know the networks behind IPv6 routers. */
  readonly #public: Host[];
  readonly #routes6: { prefix: string; via: string }[] = [];
  #networks = 0;

  constructor(lab: Lab, servers: readonly Host[]) {
    this.#lab = lab;
    this.#public = [...servers];
  }

  /** One host of its own network. `end` is its place in the cell, and its number in the home. */
  async build(kind: Kind, end: 'a' | 'b'): Promise<Site> {
    const name = `${kind.id}-${end}`;
    if (kind.id === 'none') return this.#onTheSwitch(kind, name);
    const router = await this.#router(kind, `${name}r`);
    return this.#home(kind, router, name, end === 'a' ? 2 : 3);
  }

  /** Two hosts behind one router. */
  async buildShared(kind: Kind): Promise<[Site, Site]> {
    const router = await this.#router(kind, `${kind.id}-r`);
    const a = await this.#home(kind, router, `${kind.id}-a`, 2);
    const b = await this.#home(kind, router, `${kind.id}-b`, 3);
    if (kind.shared !== 'lan') {
      // Guest networks: a port of the bridge that is isolated reaches the router, but no other isolated port.
      for (const { host } of [a, b])
        await run('ip', [
          ...['-n', router.namespace, 'link', 'set', 'dev', host.cable.port],
          ...['type', 'bridge_slave', 'isolated', 'on'],
        ]);
    }
    return [a, b];
  }

  async #onTheSwitch(kind: Kind, name: string): Promise<Site> {
    const host = await this.#lab.host(name);
    for (const { prefix, via } of this.#routes6) await addRoute6(host, prefix, via);
    this.#public.push(host);
    return { kind, host, router: undefined, prefix6: undefined };
  }

  /** One more router of a kind, for another home network than the usual. */
  secondRouter(kind: Kind, name: string): Promise<Host> {
    return this.#router(kind, name, SECOND_HOME4);
  }

  async #router(kind: Kind, name: string, home4: string = HOME4): Promise<Host> {
    const router = kind.id === 'cgnat' ? await this.#behindCarrier(name) : await this.#lab.host(name);
    await forward(router);
    if (kind.id === 'mtu-1280') {
      await router.setMtu(SMALL_MTU);
      const { switchNamespace, port } = router.cable;
      // A super-frame would cross the small cable unsegmented (is_skb_forwardable lets GSO pass whatever its length).
      await run('ip', ['-n', switchNamespace, 'link', 'set', 'dev', port, 'gso_max_segs', '1']);
    }
    await ip(router, [
      `link add name ${LAN} type bridge mcast_snooping 0`,
      ...(kind.id !== 'ipv6-only' ? [`address add ${home4}.1/24 dev ${LAN}`] : []),
      `link set dev ${LAN} up`,
    ]);
    await router.run('nft', ['-f', '-'], { input: `${routerRules(kind, router.ip4)}\n` });
    return router;
  }

  async #behindCarrier(name: string): Promise<Host> {
    const carrier = await this.#lab.host(`${name}c`);
    await forward(carrier);
    await ip(carrier, [
      `link add name ${LAN} type bridge mcast_snooping 0`,
      `address add ${CARRIER4}.1/24 dev ${LAN}`,
      `link set dev ${LAN} up`,
    ]);
    await carrier.run('nft', ['-f', '-'], { input: `${carrierRules()}\n` });
    const router = await this.#lab.hostBehind(carrier, LAN, name, { ip4: `${CARRIER4}.2`, ip6: '' });
    await ip(router, [`route add default via ${CARRIER4}.1 dev ${WAN}`]);
    return router;
  }

  async #home(kind: Kind, router: Host, name: string, number: number): Promise<Site> {
    const hasIp6 = kind.ip6 !== null;
    const prefix = hasIp6 ? `2001:db8:${(++this.#networks).toString(16)}::` : undefined;
    const hasIp4 = kind.id !== 'ipv6-only';
    const address = {
      ip4: hasIp4 ? `${HOME4}.${number}` : '',
      ip6: prefix === undefined ? '' : `${prefix}${number}`,
    };
    const host = await this.#lab.hostBehind(router, LAN, name, address);
    if (hasIp4) await ip(host, [`route add default via ${HOME4}.1 dev ${HOST_INTERFACE}`]);
    if (prefix === undefined) return { kind, host, router, prefix6: undefined };
    await ip(router, [`address add ${prefix}1/64 dev ${LAN} nodad`]);
    await ip(host, [`route add default via ${prefix}1 dev ${HOST_INTERFACE}`]);
    const route = { prefix: `${prefix}/64`, via: router.ip6 };
    for (const other of this.#public) await addRoute6(other, route.prefix, route.via);
    for (const known of this.#routes6) await addRoute6(router, known.prefix, known.via);
    this.#routes6.push(route);
    this.#public.push(router);
    return { kind, host, router, prefix6: route.prefix };
  }
}

async function addRoute6(host: Host, prefix: string, via: string): Promise<void> {
  await ip(host, [`route add ${prefix} via ${via} dev ${HOST_INTERFACE}`]);
}

async function ip(host: Host, commands: readonly string[]): Promise<void> {
  await run('ip', ['-n', host.namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** Makes a host forward between its cards. What a bridge passes on by itself is none of the router's rules' business. */
async function forward(router: Host): Promise<void> {
  const on = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'];
  const off = [
    'bridge/bridge-nf-call-iptables',
    'bridge/bridge-nf-call-ip6tables',
    'ipv4/conf/all/send_redirects',
  ];
  const set = (value: number) => (key: string) =>
    `[ ! -e /proc/sys/net/${key} ] || echo ${value} > /proc/sys/net/${key}`;
  await router.run('sh', ['-ec', [...on.map(set(1)), ...off.map(set(0))].join('\n')]);
}
