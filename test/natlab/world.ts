import { randomBytes } from 'node:crypto';
import { Ejabberd, type Host, HUB_PORTS, KithNode, type Lab } from '../lab/index.ts';
import type { Kind } from './kinds.mjs';
import { startProbeServer } from './probe.ts';
import { type Site, SiteBuilder } from './site.ts';
import { verify } from './verify.ts';

/** Where the hub's TURN over TLS is found on port 443, which is XMPP's on the hub's first address. */
const TURN_NAME = 'turn.vpn.test';
const TURN_IP4 = '203.0.113.243';

/** The lab with its hub and the networks that were built so far. */
export class World {
  readonly lab: Lab;
  readonly hub: Ejabberd;
  readonly relay: Ejabberd | undefined;
  readonly #probeServer: Host;
  readonly #builder: SiteBuilder;
  readonly #sites = new Map<string, Promise<Site>>();
  readonly #shared = new Map<string, Promise<[Site, Site]>>();
  readonly #routers = new Map<string, Promise<Host>>();
  readonly #verified = new Map<string, Promise<string[]>>();
  readonly #numbers = new Map<string, number>();
  /** Networks are built one after another: each adds routes to those before it. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(lab: Lab, hub: Ejabberd, relay: Ejabberd | undefined, probeServer: Host) {
    this.lab = lab;
    this.hub = hub;
    this.relay = relay;
    this.#probeServer = probeServer;
    this.#builder = new SiteBuilder(lab, [hub.host, probeServer]);
  }

  /** `secondRelay`: a TURN server on a machine of its own, which the hub announces beside its own. */
  static async create(lab: Lab, { secondRelay = false } = {}): Promise<World> {
    const turnSecret = randomBytes(16).toString('hex');
    const relay = secondRelay
      ? await Ejabberd.start(lab, { host: 'relay', relayFor: { turnSecret } })
      : undefined;
    const hub = await Ejabberd.start(lab, {
      dualStack: true,
      turnSecret,
      alsoAnnounced: [
        { host: TURN_NAME, port: 443, type: 'turns', transport: 'tcp' },
        // A second address to ask: one alone does not show whether a NAT maps ports per destination. Behind it is a port of its own:
        // with the first one's, the hub's connection tracking would change the asker's port, as if his NAT had.
        { host: TURN_NAME, port: HUB_PORTS.stun, type: 'stun', transport: 'udp' },
        ...(relay === undefined
          ? []
          : [
              {
                host: relay.host.ip4,
                port: relay.ports.stun,
                type: 'turn' as const,
                transport: 'udp' as const,
              },
            ]),
      ],
    });
    await lab.setName(TURN_NAME, TURN_IP4);
    await hub.host.run('ip', ['address', 'add', `${TURN_IP4}/24`, 'dev', 'eth0']);
    const rules = [
      'table inet doors {',
      '  chain in {',
      '    type nat hook prerouting priority dstnat;',
      `    ip daddr ${TURN_IP4} tcp dport 443 dnat ip to ${hub.host.ip4}:${hub.ports.turns}`,
      `    ip daddr ${TURN_IP4} udp dport ${HUB_PORTS.stun} dnat ip to ${hub.host.ip4}:${HUB_PORTS.otherStun}`,
      `    tcp dport 443 redirect to :${hub.ports.tls}`,
      '  }',
      '}',
    ];
    await hub.host.run('nft', ['-f', '-'], { input: `${rules.join('\n')}\n` });
    const probeServer = await startProbeServer(lab);
    for (const { host } of relay === undefined ? [hub] : [hub, relay]) {
      // The internet drops what is sent to somebody's private address. Without any route the sender would get an error of its own
      // instead, and a TURN server may end the allocation for it, as coturn does.
      await host.run('ip', ['route', 'add', 'default', 'via', probeServer.ip4]);
    }
    return new World(lab, hub, relay, probeServer);
  }

  /** The two ends of a cell, built when they are asked for the first time. */
  async sites(a: Kind, b: Kind): Promise<[Site, Site]> {
    if (a.shared === undefined) return [await this.#site(a, 'a'), await this.#site(b, 'b')];
    const known = this.#shared.get(a.id);
    if (known !== undefined) return known;
    const both = this.#inTurn(() => this.#builder.buildShared(a));
    this.#shared.set(a.id, both);
    return both;
  }

  #site(kind: Kind, end: 'a' | 'b'): Promise<Site> {
    const key = `${kind.id}-${end}`;
    const known = this.#sites.get(key);
    if (known !== undefined) return known;
    const site = this.#inTurn(() => this.#builder.build(kind, end));
    this.#sites.set(key, site);
    return site;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** What a network does otherwise than its kind claims; asked once per kind. */
  verify(site: Site): Promise<string[]> {
    const known = this.#verified.get(site.kind.id);
    if (known !== undefined) return known;
    const problems = verify(this.#probeServer, site);
    this.#verified.set(site.kind.id, problems);
    return problems;
  }

  /** A router like the site's, with an outer address of its own and the second home's network behind it; the same each time. */
  secondRouter(site: Site): Promise<Host> {
    const name = `${site.host.name}x`;
    const known = this.#routers.get(name);
    if (known !== undefined) return known;
    const router = this.#inTurn(() => this.#builder.secondRouter(site.kind, name));
    this.#routers.set(name, router);
    return router;
  }

  /** A node at a site, in a roster group of its cell's own. Its processes do not run yet. */
  async node(site: Site, group: string): Promise<{ node: KithNode; address: string }> {
    const user = site.host.name;
    let number = this.#numbers.get(user);
    if (number === undefined) {
      number = this.#numbers.size + 1;
      this.#numbers.set(user, number);
      await this.hub.register(user, `${user}-password`);
    }
    await this.hub.addToGroup(user, group);
    const address = `172.31.0.${number}`;
    const node = await KithNode.create(this.lab, this.hub, site.host, {
      ...{ user, password: `${user}-password`, ip4: `${address}/24`, group },
      // Every kind but one could use XMPP's own port; the one that cannot finds the same hub behind the web's.
      ...(site.kind.only443 === true ? { server: `xmpps://${this.hub.domain}:443` } : {}),
    });
    return { node, address };
  }
}
