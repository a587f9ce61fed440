import { randomBytes } from 'node:crypto';
import { type Logger, Timers } from '@kith/base';
import { type Endpoint, endpointText } from '../endpoint.ts';
import { TurnClient, type TurnCredentials } from '../turn/turn-client.ts';
import type { DirectPort, RelayServer } from './direct-port.ts';
import { relayServerText } from './relay-server-text.ts';
import type { StreamTurns } from './stream-turns.ts';

/** TURN servers of one node. Each link's hub names one or two by UDP, and all that it has by streams count as one. */
const MAX_SERVERS = 4;

/** Servers that give us an address at the same time: the nearer one wins, and the other is there when it ends. */
const MAX_AT_ONCE = 2;

/** Allocations are kept so long when no link wants one: the next may want it soon. */
const LINGER_MS = 30_000;

/** Timers of the machines never wait less than this. */
const LEAST_WAIT_MS = 2;

export interface TurnServer extends Endpoint, TurnCredentials {
  /** A socket of this process that leads there by TCP or TLS: asked where no server answers by UDP. */
  isStream?: boolean;
}

/** An address at a TURN server that leads to our socket. */
export interface Relay {
  server: RelayServer;
  relayed: Endpoint;
}

export interface RelaysOptions {
  port: Pick<DirectPort, 'sendControl' | 'addRelay' | 'removeRelay'>;
  /** The way to servers by TCP and TLS; undefined: there is none. */
  streams?: Pick<StreamTurns, 'graceMs' | 'udpWorks' | 'nameOf' | 'whyNot'> | undefined;
  log: Logger;
  /** ms, monotonic */
  clock(): number;
}

export interface RelaysEvents {
  /** The relays that there are. */
  changed(relays: readonly Relay[]): void;
  /** A server passes on to this peer from now on. */
  ready(peer: Endpoint, server: Endpoint): void;
  /** Why a server gives us no address. */
  failed(server: RelayServer, why: string): void;
}

interface Server {
  endpoint: Endpoint;
  isStream: boolean;
  client: TurnClient;
  /** The links that named it. */
  links: Set<number>;
  /** What was told of it last. */
  why: string | null;
}

/** The TURN servers of a node and its addresses there, which all links share: one allocation per server serves them all. */
export class Relays {
  readonly #options: RelaysOptions;
  readonly #events: RelaysEvents;
  readonly #timers = new Timers();
  readonly #servers = new Map<string, Server>();
  readonly #wanting = new Set<number>();
  /** Since when a relay is wanted and no server has given one by UDP. */
  #withoutUdpSince: number | undefined;
  #told = '';

  constructor(options: RelaysOptions, events: RelaysEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** The servers that a link may use, best first; credentials that are newer replace those before. */
  setServers(link: number, servers: readonly TurnServer[]): void {
    for (const server of this.#servers.values()) server.links.delete(link);
    for (const server of servers) this.#add(link, server);
    this.#removeUnused();
    this.#work();
  }

  /** Whether a link wants a relay. */
  want(link: number, wants: boolean): void {
    if (wants) this.#wanting.add(link);
    else this.#wanting.delete(link);
    this.#work();
  }

  removeLink(link: number): void {
    this.#wanting.delete(link);
    for (const server of this.#servers.values()) server.links.delete(link);
    this.#removeUnused();
    this.#work();
  }

  /** The addresses that we have now. */
  get all(): Relay[] {
    return [...this.#servers.values()].flatMap(({ endpoint, client: { relayed } }) =>
      relayed === null ? [] : [{ server: this.named(endpoint), relayed }],
    );
  }

  /** A server with the name that it has for people. */
  named({ ip, port }: Endpoint): RelayServer {
    const name = this.#options.streams?.nameOf({ ip, port });
    return name === undefined ? { ip, port } : { ip, port, name };
  }

  /** The way to a server broke. */
  lost(server: Endpoint): void {
    this.#at(server)?.client.lost(this.#options.clock());
    this.#work();
  }

  /** The channel that leads to a peer by way of a server; undefined while there is none. */
  channel(peer: Endpoint, server: Endpoint): number | undefined {
    const number = this.#at(server)?.client.channelTo(peer, this.#options.clock());
    // A channel that was asked for first with this call leaves with the next tick.
    if (number === undefined) this.#soon();
    return number;
  }

  /** Sends a datagram by way of a server. False when it did not leave, since there is no channel yet. */
  send(peer: Endpoint, server: Endpoint, datagram: Uint8Array): boolean {
    const { port, clock } = this.#options;
    const wrapped = this.#at(server)?.client.wrap(peer, datagram, clock());
    if (wrapped === undefined) {
      this.#soon();
      return false;
    }
    return port.sendControl(server.ip, server.port, wrapped);
  }

  peerOf(channel: number, server: Endpoint): Endpoint | undefined {
    return this.#at(server)?.client.peerOf(channel);
  }

  /** Something may have happened to the way to the servers. */
  check(): void {
    const now = this.#options.clock();
    for (const { client } of this.#servers.values()) client.check(now);
    this.#work();
  }

  /** A datagram that may be a server's: gives what a peer sent by way of it, undefined for the server's own, false for neither. */
  receive(data: Uint8Array, from: Endpoint): { peer: Endpoint; data: Uint8Array } | undefined | false {
    const server = this.#at(from);
    if (server === undefined) return false;
    const received = server.client.receive(data, this.#options.clock());
    if (received === undefined) this.#work();
    return received;
  }

  /** Gives all addresses back. */
  close(): void {
    for (const server of this.#servers.values()) this.#stop(server);
    this.#servers.clear();
    this.#timers.clearAll();
  }

  #at(server: Endpoint): Server | undefined {
    return this.#servers.get(endpointText(server));
  }

  #add(link: number, { ip, port, username, password, isStream = false }: TurnServer): void {
    const now = this.#options.clock();
    const key = endpointText({ ip, port });
    const known = this.#servers.get(key);
    if (known !== undefined) {
      known.links.add(link);
      known.client.setCredentials({ username, password }, now);
      return;
    }
    // Streams are bounded where they are opened.
    if (!isStream && this.#servers.size >= MAX_SERVERS) return;
    const endpoint = { ip, port };
    const client = new TurnClient(
      { username, password },
      {
        send: (datagram) => void this.#options.port.sendControl(ip, port, datagram),
        randomBytes,
        relayedChanged: () => this.#soon(),
        channelBound: (peer) => this.#events.ready(peer, endpoint),
      },
    );
    this.#servers.set(key, { endpoint, isStream, client, links: new Set([link]), why: null });
  }

  #removeUnused(): void {
    for (const [key, server] of this.#servers) {
      if (server.links.size > 0) continue;
      this.#stop(server);
      this.#servers.delete(key);
    }
  }

  #stop({ endpoint, client }: Server): void {
    if (client.state === 'idle') return;
    client.stop(this.#options.clock());
    this.#options.port.removeRelay(endpoint);
  }

  /** Starts what is wanted, lets the machines do what is due, tells what changed, and sets the timer for what comes next. */
  #work(): void {
    const now = this.#options.clock();
    this.#choose(now);
    let due = Number.POSITIVE_INFINITY;
    for (const { client } of this.#servers.values()) due = Math.min(due, client.tick(now));
    this.#tell();
    if (due === Number.POSITIVE_INFINITY) this.#timers.clear('turn');
    else this.#timers.after('turn', Math.max(due - now, LEAST_WAIT_MS), () => this.#work());
  }

  #soon(): void {
    this.#timers.after('soon', 0, () => this.#work());
  }

  #choose(now: number): void {
    const servers = [...this.#servers.values()];
    if (this.#wanting.size === 0) {
      this.#withoutUdpSince = undefined;
      if (servers.every(({ client }) => client.state === 'idle')) return;
      if (!this.#timers.has('linger')) {
        this.#timers.after('linger', LINGER_MS, () => {
          for (const server of this.#servers.values()) this.#stop(server);
          this.#tell();
        });
      }
      return;
    }
    this.#timers.clear('linger');
    const byUdp = servers.filter(({ isStream }) => !isStream);
    let working = byUdp.filter(
      ({ client: { state } }) => state === 'allocating' || state === 'allocated',
    ).length;
    for (const server of byUdp) {
      if (server.client.state !== 'idle' || working >= MAX_AT_ONCE) continue;
      this.#start(server, now);
      working++;
    }
    this.#chooseStream(servers, now);
  }

  /** A stream is slower than UDP, and one server's address is enough: it is asked where none has come by UDP in time. */
  #chooseStream(servers: readonly Server[], now: number): void {
    const { streams } = this.#options;
    if (streams === undefined) return;
    const byUdp = servers.filter(({ isStream }) => !isStream);
    if (byUdp.some(({ client }) => client.state === 'allocated')) {
      if (this.#withoutUdpSince !== undefined) streams.udpWorks();
      this.#withoutUdpSince = undefined;
      this.#timers.clear('stream');
      return;
    }
    this.#withoutUdpSince ??= now;
    const next = servers.find(({ isStream }) => isStream);
    if (next === undefined || next.client.state !== 'idle') return;
    const wait = byUdp.length === 0 ? 0 : this.#withoutUdpSince + streams.graceMs() - now;
    if (wait <= 0) this.#start(next, now);
    else this.#timers.after('stream', wait, () => this.#work());
  }

  #start({ endpoint, client }: Server, now: number): void {
    this.#options.port.addRelay(endpoint);
    client.start(now);
  }

  #tell(): void {
    for (const server of this.#servers.values()) {
      const failure = server.client.why;
      const why = failure && (this.#options.streams?.whyNot(server.endpoint) ?? failure);
      if (why === server.why) continue;
      server.why = why;
      if (why === null) continue;
      const named = this.named(server.endpoint);
      this.#options.log.warn({ server: relayServerText(named) }, `no address at a TURN server: ${why}`);
      this.#events.failed(named, why);
    }
    const relays = this.all;
    const text = relays
      .map(({ server, relayed }) => `${relayServerText(server)} ${endpointText(relayed)}`)
      .join(' ');
    if (text === this.#told) return;
    this.#told = text;
    this.#events.changed(relays);
  }
}
