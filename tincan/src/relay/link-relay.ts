import { isIP } from 'node:net';
import { Timers } from '@kith/base';
import { type Candidate, canonicalIp, type IceServer } from '@kith/protocol';
import type { SelectedPair } from '../channel/peer-session.ts';
import { type Endpoint, endpointText } from '../endpoint.ts';
import type { TurnCredentials } from '../turn/turn-client.ts';
import { TurnSocket } from '../turn/turn-socket.ts';
import { Detours } from './detours.ts';
import { serverText } from './stream-connection.ts';
import type { StreamRelay } from './stream-relay.ts';
import type { RelayChoice, StreamRelays } from './stream-relays.ts';

/** Addresses of servers that one link asks: two servers with an address of each family. */
const MAX_SERVERS = 4;

/** The next server is asked so much later, so that the first, which answered quickest before, is not asked for nothing (as RFC 8305 §5). */
const STAGGER_MS = 100;

/** The peer's addresses that a server is asked to pass on to. */
const MAX_WANTED = 16;

/**
 * RFC 8445 §5.1.2.1 with the type preference of relays, 0: below whatever ICE reaches without one. What the peer has from a relay of its
 * own goes by two of them, and comes last.
 */
const PRIORITY = { one: (0x7fff << 8) | 255, two: (0x3fff << 8) | 255 };

/** The same of our own relayed address, as libjuice has it. */
const OWN_PRIORITY = (0xffff << 8) | 255;

/** A foundation that libjuice, which counts from 1, gives to no candidate (RFC 8839 §5.1: ice-char). */
const FOUNDATION = 'R';

export interface LinkRelayEvents {
  /** Where peers reach us by way of a server. */
  allocated(candidate: Pick<Candidate, 'ip' | 'port' | 'type' | 'priority' | 'foundation'>): void;
  /** An address was given, or none will be; `failures` say why not, of each server. Called once. */
  settled(failures: readonly string[]): void;
  /** ICE reaches a candidate of the peer's at this address too. */
  detour(candidate: Candidate): void;
  /** The address is gone before the link is. */
  lost(reason: string): void;
}

export interface LinkRelayOptions {
  relays: StreamRelays;
  /** Addresses of a host name; rejects when there are none. */
  resolve(host: string): Promise<string[]>;
  /** Addresses that no link may use. */
  isExcluded(ip: string): boolean;
}

/** A server that is asked, and what people call it. */
interface Asked {
  socket: TurnSocket;
  name: string;
  stream: StreamRelay | undefined;
}

/**
 * The relay of one link's ICE: of the TURN servers that the hub names the first that gives an address. To ICE it is no relay: each of the
 * peer's addresses that can be reached through it is another port on loopback (`detours.ts`). Ends with `close`.
 */
export class LinkRelay {
  readonly #options: LinkRelayOptions;
  readonly #timers = new Timers();
  readonly #detours: Detours;
  readonly #wanted = new Map<string, Candidate>();
  readonly #failures = new Map<string, string>();
  #servers: readonly IceServer[] = [];
  #stream: RelayChoice['stream'];
  #asked: Asked[] = [];
  #winner: Asked | undefined;
  /** The address that the winner gave, also when it is over. */
  #relayed: Endpoint | undefined;
  #events: LinkRelayEvents | undefined;
  /** Servers whose addresses are not known yet. */
  #unresolved = 0;
  #isSettled = false;
  #isClosed = false;

  private constructor(options: LinkRelayOptions) {
    this.#options = options;
    this.#detours = new Detours((peer, datagram) => this.#winner?.socket.send(peer, datagram));
  }

  /** Never rejects: without a server the link has what ICE reaches by itself. */
  static async open(servers: readonly IceServer[], options: LinkRelayOptions): Promise<LinkRelay> {
    const link = new LinkRelay(options);
    const choice = await options.relays.choose(servers, { lost: (reason) => link.#streamLost(reason) });
    link.#servers = choice.servers;
    link.#stream = choice.stream;
    return link;
  }

  /** The STUN servers that ICE is to ask. */
  get stunServers(): readonly IceServer[] {
    return this.#servers.filter(({ type }) => type === 'stun');
  }

  /** Asks the servers for an address. */
  start(events: LinkRelayEvents): void {
    this.#events = events;
    const stream = this.#stream;
    if (stream !== undefined) {
      const { host, port } = stream.relay.endpoint;
      this.#ask({ ip: host, port }, stream, stream.relay.names, stream.relay);
    }
    const byUdp = this.#servers.filter(({ type }) => type === 'turn');
    this.#unresolved = byUdp.length;
    for (const [index, server] of byUdp.entries()) {
      this.#timers.after(`server ${index}`, index * STAGGER_MS, () => void this.#resolve(server));
    }
    this.#trySettle();
  }

  /** The port of the ICE agent. */
  setIcePort(port: number): void {
    this.#detours.setIcePort(port);
  }

  /** Makes a candidate of the peer's reachable by way of the server that gives us an address, as soon as one does. */
  reach(candidate: Candidate): void {
    const key = endpointText(candidate);
    if (this.#wanted.has(key) || this.#wanted.size >= MAX_WANTED) return;
    this.#wanted.set(key, candidate);
    this.#want(candidate);
  }

  /** What a pair is that ICE selected: one by way of a port of ours is a relayed one. */
  named(pair: SelectedPair | null): SelectedPair | null {
    const port =
      pair?.remote.startsWith('127.0.0.1:') === true ? Number(pair.remote.split(':')[1]) : undefined;
    const peer = port === undefined ? undefined : this.#detours.peerAt(port);
    if (pair === null || peer === undefined || this.#relayed === undefined) return pair;
    const remote = endpointText(peer);
    const remoteType = this.#wanted.get(remote)?.type ?? 'stun';
    return { local: endpointText(this.#relayed), localType: 'relay', remote, remoteType };
  }

  /** The server that carries by a stream, e.g. `tls hub.example.org:5349`; undefined where none does. */
  get stream(): string | undefined {
    const server = this.#winner?.stream?.inUse;
    return server === undefined ? undefined : serverText(server);
  }

  close(): void {
    this.#isClosed = true;
    this.#timers.clearAll();
    for (const asked of this.#asked.splice(0)) this.#drop(asked);
    this.#releaseStream();
    this.#detours.close();
  }

  async #resolve({ host, port, username = '', password = '' }: IceServer): Promise<void> {
    const name = `udp ${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    try {
      for (const text of await this.#options.resolve(host)) {
        const ip = canonicalIp(text);
        if (ip === undefined || this.#isClosed || this.#winner !== undefined) continue;
        if (!this.#options.isExcluded(ip)) this.#ask({ ip, port }, { username, password }, name, undefined);
      }
    } catch {
      this.#failures.set(name, 'its address cannot be found');
    }
    this.#unresolved--;
    this.#trySettle();
  }

  #ask(server: Endpoint, credentials: TurnCredentials, name: string, stream: StreamRelay | undefined): void {
    if (this.#asked.length >= MAX_SERVERS) return;
    const socket = new TurnSocket(server, credentials, {
      changed: () => this.#changed(asked),
      bound: (peer) => this.#bound(peer),
      received: (peer, data) => this.#detours.deliver(peer, data),
    });
    const asked: Asked = { socket, name, stream };
    this.#asked.push(asked);
  }

  #changed(asked: Asked): void {
    const { relayed, why } = asked.socket;
    if (asked === this.#winner) {
      if (relayed === null) this.#lost(`${asked.name}: ${why ?? 'the server has forgotten us'}`);
    } else if (relayed !== null && this.#winner === undefined) {
      this.#win(asked, relayed);
    } else if (why !== null) {
      this.#failures.set(asked.name, why);
    }
    this.#trySettle();
  }

  #win(asked: Asked, relayed: Endpoint): void {
    this.#winner = asked;
    this.#relayed = relayed;
    this.#timers.clearAll();
    for (const other of this.#asked) if (other !== asked) this.#drop(other);
    this.#asked = [asked];
    if (asked.stream === undefined) {
      this.#options.relays.udpWorks();
      this.#releaseStream();
    }
    this.#events?.allocated({ ...relayed, type: 'relay', priority: OWN_PRIORITY, foundation: FOUNDATION });
    for (const candidate of this.#wanted.values()) this.#want(candidate);
  }

  /** A server passes on between addresses of one family (RFC 8656 §7.2, REQUESTED-ADDRESS-FAMILY). */
  #want(candidate: Candidate): void {
    if (this.#winner === undefined || this.#relayed === undefined) return;
    if (isIP(candidate.ip) !== isIP(this.#relayed.ip)) return;
    const { ip, port } = candidate;
    if (this.#winner.socket.want({ ip, port })) this.#bound({ ip, port });
  }

  #bound(peer: Endpoint): void {
    const candidate = this.#wanted.get(endpointText(peer));
    if (candidate === undefined) return;
    this.#detours.open(peer, (port) => {
      const priority = candidate.type === 'relay' ? PRIORITY.two : PRIORITY.one;
      const seen = { ip: '127.0.0.1', port, type: 'relay' as const, priority, foundation: FOUNDATION };
      this.#events?.detour({ ...candidate, ...seen });
    });
  }

  #streamLost(reason: string): void {
    if (this.#winner?.stream !== undefined) this.#lost(reason);
  }

  /** Another address would be of no use: ICE has told the peer this one. */
  #lost(reason: string): void {
    const winner = this.#winner;
    if (winner === undefined) return;
    this.#winner = undefined;
    this.#asked = [];
    this.#drop(winner);
    this.#isClosed = true;
    this.#events?.lost(reason);
  }

  #drop({ socket }: Asked): void {
    socket.close();
  }

  #releaseStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) this.#options.relays.release(stream.relay);
  }

  #trySettle(): void {
    if (this.#isSettled || this.#isClosed) return;
    const isOver = this.#unresolved === 0 && this.#asked.every(({ socket }) => socket.why !== null);
    if (this.#winner === undefined && !isOver) return;
    this.#isSettled = true;
    const failures = [...this.#failures].map(([name, why]) => `${name}: ${why}`);
    this.#events?.settled(this.#winner === undefined ? failures : []);
  }
}
