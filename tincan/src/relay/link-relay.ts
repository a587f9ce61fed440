import { isIP } from 'node:net';
import { monotonicMs, Timers } from '@kith/base';
import { type Candidate, canonicalIp, type IceServer } from '@kith/protocol';
import type { SelectedPair } from '../channel/peer-session.ts';
import { type Endpoint, endpointText } from '../endpoint.ts';
import type { TurnCredentials } from '../turn/turn-client.ts';
import { TurnSocket } from '../turn/turn-socket.ts';
import { Detours } from './detours.ts';
import type { IcePlan, StreamGroup } from './ice-plan.ts';
import { NONE, type Patience } from './relay-patience.ts';
import { serverText } from './stream-connection.ts';
import type { StreamRelay } from './stream-relay.ts';
import type { StreamRelays } from './stream-relays.ts';

/** Addresses of servers that one link asks: two servers with an address of each family. */
const MAX_SERVERS = 4;

/** The next server is asked so much later, so that an address that the first gives in time costs the others nothing (as RFC 8305 §5). */
const STAGGER_MS = 100;

/** The peer's addresses that a server is asked to pass on to. */
const MAX_WANTED = 10;

/** Those of them that are of its interfaces: a server reaches few of these, and the others must find room. */
const MAX_WANTED_LOCAL = 4;

/**
 * RFC 8445 §5.1.2.1 with the type preference of relays, 0: below whatever ICE reaches without one. What the peer has from a relay of its
 * own goes by two of them, and comes last.
 */
const PRIORITY = { one: (0x7fff << 8) | 255, two: (0x3fff << 8) | 255 };

/** The same of our own relayed address, as libjuice has it. */
const OWN_PRIORITY = (0xffff << 8) | 255;

/** A foundation that libjuice, which counts from 1, gives to no candidate (RFC 8839 §5.1: ice-char). */
const FOUNDATION = 'R';

/** Name of the timer until which no server is asked. */
const PATIENCE = 'patience';

/**
 * Patience counts from the peer's first address on: before it nothing could be reached with or without a relay. A controller in IPOP's way
 * may wait for all of our addresses before it asks the peer for its own.
 */
const MOST_UNHEARD_MS = 6_000;

/** How often a link looks whether its patience is known by now. */
const LOOK_MS = 50;

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
  #stream: StreamRelay | undefined;
  #asked: Asked[] = [];
  #winner: Asked | undefined;
  /** The address that the winner gave, also when it is over, unless that was before anyone heard of it. */
  #relayed: Endpoint | undefined;
  #events: LinkRelayEvents | undefined;
  /** Servers that have not been asked yet. */
  #unknown = 0;
  #isLost = false;
  /** By the winner that is lost. */
  #droppedBefore = 0;
  #isSettled = false;
  #isClosed = false;
  readonly #patience: () => Patience;
  readonly #openedMs = monotonicMs();
  /** When the peer's first address came. */
  #heardMs: number | undefined;
  readonly #plan: IcePlan;

  private constructor(servers: readonly IceServer[], options: LinkRelayOptions, patience: () => Patience) {
    this.#options = options;
    this.#patience = patience;
    this.#plan = options.relays.plan(servers);
    this.#unknown = this.#plan.udp.length + (this.#plan.stream === undefined ? 0 : 1);
    this.#detours = new Detours((peer, datagram) => this.#winner?.socket.send(peer, datagram));
  }

  /**
   * Begins to ask the servers when `patience` says so, at once if it is left out. Never fails: without a server the link has what ICE
   * reaches by itself.
   */
  static open(
    servers: readonly IceServer[],
    options: LinkRelayOptions,
    patience: () => Patience = () => NONE,
  ): LinkRelay {
    const link = new LinkRelay(servers, options, patience);
    link.#wait();
    return link;
  }

  /** Asks, or looks again when that may be due. */
  #wait(): void {
    const { ms, isKnown } = this.#patience();
    const heardDueMs = this.#heardMs === undefined ? this.#openedMs + MOST_UNHEARD_MS : this.#heardMs + ms;
    const leftMs = (isKnown ? heardDueMs : this.#openedMs + ms) - monotonicMs();
    if (ms === 0 || leftMs <= 0) {
      this.#timers.clear(PATIENCE);
      this.#askAll();
      return;
    }
    if (isKnown) {
      this.#timers.after(PATIENCE, leftMs, () => this.#askAll());
      return;
    }
    // A process that was busy until now has its timers called before it reads what servers have answered: one more turn, and it has read that.
    const look = (): void => this.#timers.after(PATIENCE, 0, () => this.#wait());
    this.#timers.after(PATIENCE, Math.min(leftMs, LOOK_MS), look);
  }

  #askAll(): void {
    const { udp, stream } = this.#plan;
    for (const [index, server] of udp.entries()) {
      this.#timers.after(`server ${index}`, index * STAGGER_MS, () => void this.#askByUdp(server));
    }
    if (stream !== undefined) void this.#askByStream(stream, udp.length > 0);
  }

  /** The link is there without it: servers that have not been asked yet are not. */
  notNeeded(): void {
    if (!this.#timers.has(PATIENCE)) return;
    this.#timers.clear(PATIENCE);
    this.#unknown = 0;
    this.#trySettle();
  }

  /** Tells what becomes of it, and what has become already. */
  listen(events: LinkRelayEvents): void {
    this.#events = events;
    if (this.#relayed !== undefined) this.#tellAllocated(this.#relayed);
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
    const locals = [...this.#wanted.values()].filter(({ type }) => type === 'local').length;
    if (candidate.type === 'local' && locals >= MAX_WANTED_LOCAL) return;
    const isFirst = this.#heardMs === undefined;
    this.#heardMs ??= monotonicMs();
    this.#wanted.set(key, candidate);
    if (isFirst && this.#timers.has(PATIENCE)) this.#wait();
    this.#want(candidate);
  }

  /** What a pair is that ICE selected: one by way of a port of ours is a relayed one. */
  named(pair: SelectedPair | null): SelectedPair | null {
    const peer = pair === null ? undefined : this.#detours.peerAt(pair.remote);
    if (peer === undefined || this.#relayed === undefined) return pair;
    const remote = endpointText(peer);
    const remoteType = this.#wanted.get(remote)?.type ?? 'stun';
    return { local: endpointText(this.#relayed), localType: 'relay', remote, remoteType };
  }

  /** The server that carries by a stream, e.g. `tls hub.example.org:5349`; undefined where none does. */
  get stream(): string | undefined {
    const server = this.#winner?.stream?.inUse;
    return server === undefined ? undefined : serverText(server);
  }

  /** Datagrams that came from strangers, or for which there was no room. */
  get dropped(): number {
    return this.#detours.dropped + (this.#winner?.socket.dropped ?? this.#droppedBefore);
  }

  close(): void {
    this.#isClosed = true;
    this.#timers.clearAll();
    for (const { socket } of this.#asked.splice(0)) socket.close();
    this.#releaseStream();
    this.#detours.close();
  }

  async #askByUdp({ host, port, username = '', password = '' }: IceServer): Promise<void> {
    const name = `udp ${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    try {
      for (const text of await this.#options.resolve(host)) {
        const ip = canonicalIp(text);
        if (ip !== undefined && !this.#options.isExcluded(ip)) {
          this.#ask({ ip, port }, { username, password }, name, undefined);
        }
      }
    } catch {
      this.#failures.set(name, 'its address cannot be found');
    }
    this.#unknown--;
    this.#trySettle();
  }

  /** @param waits for the time in which a server may answer by UDP */
  async #askByStream(group: StreamGroup, waits: boolean): Promise<void> {
    const { relays } = this.#options;
    const stream = await relays.open(group, waits, { lost: (reason) => this.#streamLost(reason) });
    this.#unknown--;
    if (stream !== undefined && this.#isDecided) {
      relays.release(stream);
    } else if (stream !== undefined) {
      this.#stream = stream;
      const { host, port } = stream.endpoint;
      this.#ask({ ip: host, port }, group, group.servers.map(serverText).join(', '), stream);
    }
    this.#trySettle();
  }

  #ask(server: Endpoint, credentials: TurnCredentials, name: string, stream: StreamRelay | undefined): void {
    if (this.#isDecided || this.#asked.length >= MAX_SERVERS) return;
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
    for (const other of this.#asked) if (other !== asked) other.socket.close();
    this.#asked = [asked];
    if (asked.stream === undefined) {
      this.#options.relays.udpWorks();
      this.#releaseStream();
    }
    this.#tellAllocated(relayed);
    for (const candidate of this.#wanted.values()) this.#want(candidate);
  }

  #tellAllocated(relayed: Endpoint): void {
    this.#events?.allocated({ ...relayed, type: 'relay', priority: OWN_PRIORITY, foundation: FOUNDATION });
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
    this.#detours.open(peer, (at) => {
      const priority = candidate.type === 'relay' ? PRIORITY.two : PRIORITY.one;
      this.#events?.detour({ ...candidate, ...at, type: 'relay', priority, foundation: FOUNDATION });
    });
  }

  #streamLost(reason: string): void {
    if (this.#winner?.stream !== undefined) this.#lost(reason);
  }

  /** Another address would be of no use: ICE has told the peer this one. */
  #lost(reason: string): void {
    const winner = this.#winner;
    if (winner === undefined) return;
    this.#droppedBefore = winner.socket.dropped;
    this.#winner = undefined;
    this.#asked = [];
    winner.socket.close();
    this.#isLost = true;
    if (this.#events === undefined) {
      // Nobody has heard of the address yet.
      this.#relayed = undefined;
      this.#failures.set(winner.name, reason);
    } else {
      this.#events.lost(reason);
    }
  }

  /** Another server would be of no use. */
  get #isDecided(): boolean {
    return this.#isClosed || this.#winner !== undefined || this.#isLost;
  }

  #releaseStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) this.#options.relays.release(stream);
  }

  #trySettle(): void {
    if (this.#isSettled || this.#isClosed || this.#events === undefined) return;
    const isOver = this.#unknown === 0 && this.#asked.every(({ socket }) => socket.why !== null);
    if (this.#relayed === undefined && !isOver) return;
    this.#isSettled = true;
    const failures = [...this.#failures].map(([name, why]) => `${name}: ${why}`);
    this.#events.settled(this.#relayed === undefined ? failures : []);
  }
}
