import { randomBytes, randomInt } from 'node:crypto';
import { describeError, type Logger, Timers } from '@kith/base';
import {
  canonicalIp,
  DATAGRAM_PROBE,
  DATAGRAM_PROBE_REPLY,
  type DirectCandidate,
  type DirectControl,
  type IceServer,
  isChannelData,
  type NetworkView,
  readDatagramHeader,
  type Uid,
} from '@kith/protocol';
import type { Endpoint } from '../endpoint.ts';
import type { StreamRelays } from '../relay/stream-relays.ts';
import type { DirectTerms } from './carrier-types.ts';
import { DirectCarrier } from './direct-carrier.ts';
import type { Address, DirectPort } from './direct-port.ts';
import {
  type CandidateRules,
  carryingAddresses,
  directCandidates,
  isUsableIp,
  type LocalAddress,
} from './local-addresses.ts';
import { ownNetwork } from './own-network.ts';
import { addressText } from './path-set.ts';
import { RelayedPort } from './relayed-port.ts';
import { Relays, type TurnServer } from './relays.ts';
import { sizeLadder } from './size-search.ts';
import { StreamTurns } from './stream-turns.ts';
import { StunClient } from './stun-client.ts';

/** How often the addresses of the interfaces and their MTUs are read even though nobody said networkChanged(). */
const INTERFACES_MS = 120_000;

/** First byte of a STUN message (RFC 7983 §7). */
const STUN_LAST_FIRST_BYTE = 3;

/** Stands where a link's number does for servers that no single link named; the data plane gives this number to no link. */
const NO_LINK = 0;

/** How often this machine's network is judged anew. */
const NETWORK_MS = 1_000;

/** What a peer saw longer ago than two rounds of STUN, or than the slowest probes of an idle path, is of a mapping that may be over. */
const SEEN_LIFE_MS = 75_000;

/** Names of STUN servers, and of TURN servers, that are resolved for one link; each hub names one or two. */
const MAX_SERVERS_PER_LINK = 4;

export interface DirectNodeOptions {
  port: DirectPort;
  me: Uid;
  /** Name of this network's TAP interface. */
  ownInterface: string;
  isOverlay(ip: string): boolean;
  aes: boolean;
  log: Logger;
  /** ms, monotonic */
  clock(): number;
  readAddresses(): LocalAddress[];
  /** Addresses of a host name; rejects when there are none. */
  resolve(host: string): Promise<string[]>;
  /** The way to TURN servers by TCP and TLS; undefined: only those by UDP are used. */
  streams?: StreamRelays | undefined;
}

export interface OpenDirect extends DirectTerms {
  /** The peer's overlay addresses, at which it must not be probed. */
  peerOverlay: readonly string[];
  iceServers: readonly IceServer[];
  send(message: DirectControl): void;
}

/** What the direct carriers of a node share: the socket's addresses, STUN, and the way of a probe to its link. */
export class DirectNode {
  readonly #options: DirectNodeOptions;
  readonly #timers = new Timers();
  readonly #stun: StunClient;
  readonly #relays: Relays;
  readonly #streams: StreamTurns | undefined;
  readonly #port: RelayedPort;
  readonly #carriers = new Map<number, DirectCarrier>();
  /** Link of each receiver index that we gave out. */
  readonly #indices = new Map<number, number>();
  readonly #stunServers = new Map<number, Address[]>();
  #knownServers = '';
  #network: { at: number; view: NetworkView } | undefined;
  #local: LocalAddress[];
  #told: string;
  /** Where a router lets in what is for our socket, as the controller found out. */
  #routerMapping: Address | null = null;
  readonly counters = { direct_unknown_datagrams: 0, direct_unknown_stun: 0 };

  constructor(options: DirectNodeOptions) {
    this.#options = options;
    const { port, streams } = options;
    this.#stun = new StunClient({
      send: ({ ip, port: serverPort }, request) => port.sendControl(ip, serverPort, request),
      randomBytes,
    });
    this.#streams = streams && new StreamTurns(streams, { lost: (server) => this.#relays.lost(server) });
    this.#relays = new Relays(
      { ...options, streams: this.#streams },
      {
        changed: (relays) => this.#forAll((carrier) => carrier.setRelays(relays)),
        ready: (peer, via) => this.#forAll((carrier) => carrier.relayReady({ ...peer, via })),
        failed: (server, why) => this.#forAll((carrier) => carrier.relayFailed(server, why)),
      },
    );
    this.#port = new RelayedPort(port, this.#relays);
    this.#local = this.#readAddresses();
    this.#told = this.#candidates().map(addressText).join(' ');
    port.onControl((data, from) => this.#receive(data, from));
    port.onPathError((link, errnoName) => this.#carriers.get(link)?.pathError(errnoName));
    this.#timers.every('interfaces', INTERFACES_MS, () => this.#checkInterfaces());
  }

  /** Calls the handler once, when the next frame to one station goes or comes by any of the carriers. */
  whenUsed(handler: () => void): void {
    this.#options.port.whenUsed(handler);
  }

  /** The direct carrier of a link whose hello has come. It ends with its `close`. */
  open({ peerOverlay, iceServers, send, ...terms }: OpenDirect): DirectCarrier {
    const { link } = terms;
    const { me, aes, log, clock, isOverlay } = this.#options;
    this.#carriers.get(link)?.close();
    const mtus = this.#local.flatMap(({ mtu }) => (mtu === undefined ? [] : [mtu]));
    const carrier = new DirectCarrier(
      {
        ...terms,
        ...{ me, aes, port: this.#port, log, clock, random: Math.random },
        ladder: (family, isRelayed) => sizeLadder(family, mtus, isRelayed),
        isForbidden: (ip) =>
          !isUsableIp(ip) || !this.#hasFamily(ip) || isOverlay(ip) || peerOverlay.includes(ip),
      },
      {
        send,
        reserveIndex: () => this.#reserveIndex(link),
        releaseIndex: (index) => this.#indices.delete(index),
        wantRelay: (wants) => this.#relays.want(link, wants),
        closed: () => this.#closed(link, carrier),
      },
    );
    this.#carriers.set(link, carrier);
    carrier.setRelays(this.#relays.all);
    carrier.start(this.#candidates());
    this.#learnServers(link, iceServers);
    return carrier;
  }

  /** The UDP port of the one socket. */
  get port(): number {
    return this.#options.port.port;
  }

  /** The servers that any link may use: asked before there is one, so that the first link finds the answers. */
  setServers(servers: readonly IceServer[]): void {
    const text = JSON.stringify(servers.map(({ type, host, port }) => [type, host, port]));
    if (text === this.#knownServers) return;
    this.#knownServers = text;
    this.#learnStunServers(NO_LINK, servers);
  }

  /** How UDP leaves this machine, judged once a second at most. */
  network(): NetworkView {
    const now = this.#options.clock();
    if (this.#network !== undefined && now - this.#network.at < NETWORK_MS) return this.#network.view;
    const peers = [...this.#carriers.values()].flatMap(({ seenAs }) =>
      seenAs !== undefined && now - seenAs.at < SEEN_LIFE_MS ? [seenAs] : [],
    );
    const { family, port } = this.#options.port;
    const servers = this.#stun.views(now);
    const view = ownNetwork({ family, port, local: this.#local.map(({ ip }) => ip), servers, peers });
    this.#network = { at: now, view };
    return view;
  }

  /** Where a router lets in what is for our socket; null: nowhere. */
  setRouterMapping(address: Address | null): void {
    this.#routerMapping = address;
    this.#tellIfChanged();
  }

  /** Addresses or default routes of this machine changed. */
  networkChanged(): void {
    if (this.#checkInterfaces()) return;
    // The same addresses by another way: another router has another mapping for us.
    this.#networkChanged();
  }

  close(): void {
    this.#timers.clearAll();
    for (const carrier of [...this.#carriers.values()]) carrier.close();
    this.#relays.close();
    this.#streams?.close();
  }

  #forAll(action: (carrier: DirectCarrier) => void): void {
    for (const carrier of this.#carriers.values()) action(carrier);
  }

  #closed(link: number, carrier: DirectCarrier): void {
    if (this.#carriers.get(link) !== carrier) return;
    this.#carriers.delete(link);
    this.#relays.removeLink(link);
    this.#streams?.removeLink(link);
    if (this.#stunServers.delete(link)) this.#useStunServers();
  }

  #reserveIndex(link: number): number {
    for (;;) {
      // 0 is left out, so that a zeroed datagram names nobody.
      const index = randomInt(1, 0x1_0000_0000);
      if (this.#indices.has(index)) continue;
      this.#indices.set(index, link);
      return index;
    }
  }

  #receive(data: Uint8Array, from: Endpoint): void {
    const source = { ip: canonicalIp(from.ip) ?? from.ip, port: from.port };
    if ((data[0] ?? 0xff) <= STUN_LAST_FIRST_BYTE) {
      this.#receiveStun(data, source);
    } else if (isChannelData(data)) {
      this.#receiveRelayed(data, source);
    } else {
      this.#receiveProbe(data, source);
    }
  }

  #receiveProbe(data: Uint8Array, source: Address): void {
    const header = readDatagramHeader(data);
    const link = header === undefined ? undefined : this.#indices.get(header.index);
    const carrier = link === undefined ? undefined : this.#carriers.get(link);
    if (
      header === undefined ||
      carrier === undefined ||
      (header.type !== DATAGRAM_PROBE && header.type !== DATAGRAM_PROBE_REPLY)
    ) {
      this.counters.direct_unknown_datagrams++;
      return;
    }
    carrier.receiveProbe(data, header, source);
  }

  /** From a TURN server: its own messages, or what a peer sent by way of it. */
  #receiveRelayed(data: Uint8Array, from: Endpoint): void {
    const received = this.#relays.receive(data, from);
    if (received === false) this.counters.direct_unknown_stun++;
    else if (received !== undefined)
      this.#receiveProbe(received.data, { ...received.peer, via: this.#relays.named(from) });
  }

  #receiveStun(data: Uint8Array, from: Endpoint): void {
    if (!this.#stun.receive(data, from, this.#options.clock())) {
      this.#receiveRelayed(data, from);
      return;
    }
    this.#tellIfChanged();
    this.#tickStun();
  }

  #rules(): CandidateRules {
    const { port, ownInterface, isOverlay } = this.#options;
    return { ownInterface, port: port.port, family: port.family, isOverlay };
  }

  #readAddresses(): LocalAddress[] {
    return carryingAddresses(this.#options.readAddresses(), this.#rules());
  }

  /** Our addresses as peers may reach them, as far as they are known. */
  get addresses(): readonly DirectCandidate[] {
    return this.#candidates();
  }

  #candidates(): DirectCandidate[] {
    const stun = this.#stun.mapped(this.#options.clock());
    const mapped = this.#routerMapping === null ? stun : [this.#routerMapping, ...stun];
    return directCandidates(this.#local, mapped, this.#rules());
  }

  #hasFamily(ip: string): boolean {
    const { family } = this.#options.port;
    return family === 'dual' || family === (ip.includes(':') ? 6 : 4);
  }

  /** Whether the addresses were others at the last look. */
  #checkInterfaces(): boolean {
    const before = JSON.stringify(this.#local);
    this.#local = this.#readAddresses();
    if (JSON.stringify(this.#local) === before) return false;
    this.#options.log.info(
      { addresses: this.#local.map(({ ip }) => ip) },
      'the addresses of this machine changed',
    );
    this.#networkChanged();
    return true;
  }

  #networkChanged(): void {
    this.#stun.restart(this.#options.clock());
    this.#relays.check();
    this.#tickStun();
    this.#tellIfChanged();
    for (const carrier of this.#carriers.values()) carrier.networkChanged();
  }

  #tellIfChanged(): void {
    const candidates = this.#candidates();
    const text = candidates.map(addressText).join(' ');
    if (text === this.#told) return;
    this.#told = text;
    for (const carrier of this.#carriers.values()) carrier.tellCandidates(candidates);
  }

  #learnServers(link: number, servers: readonly IceServer[]): void {
    this.#learnStunServers(link, servers);
    const turn: TurnServer[] = [];
    const carrier = this.#carriers.get(link);
    this.#streams?.use(link, servers, (server) => {
      turn.push(server);
      if (this.#carriers.get(link) === carrier) this.#relays.setServers(link, turn);
    });
    for (const { host, port, username, password, transport = 'udp' } of namedServers(servers, 'turn')) {
      if (username === undefined || password === undefined || transport !== 'udp') continue;
      this.#resolve(link, host, (ip) => {
        turn.push({ ip, port, username, password });
        this.#relays.setServers(link, turn);
      });
    }
  }

  /** A TURN server answers STUN's question too (RFC 8656 §5), and what two servers see tells more than what one does. */
  #learnStunServers(link: number, servers: readonly IceServer[]): void {
    const stun: Address[] = [];
    this.#stunServers.set(link, stun);
    const asked = [...namedServers(servers, 'stun'), ...namedServers(servers, 'turn')];
    for (const { host, port, transport = 'udp' } of asked) {
      if (transport !== 'udp') continue;
      this.#resolve(link, host, (ip) => {
        stun.push({ ip, port });
        this.#useStunServers();
      });
    }
  }

  /** Tells each address of a server's name that our socket can reach, unless the link has ended meanwhile. */
  #resolve(link: number, host: string, found: (ip: string) => void): void {
    const carrier = this.#carriers.get(link);
    this.#options.resolve(host).then(
      (addresses) => {
        if (this.#carriers.get(link) !== carrier) return;
        for (const text of addresses) {
          const ip = canonicalIp(text);
          if (ip !== undefined && this.#hasFamily(ip) && !this.#options.isOverlay(ip)) found(ip);
        }
      },
      (error: unknown) => {
        this.#options.log.warn({ host }, `the STUN or TURN server cannot be found: ${describeError(error)}`);
      },
    );
  }

  #useStunServers(): void {
    this.#stun.setServers([...this.#stunServers.values()].flat(), this.#options.clock());
    this.#tickStun();
  }

  #tickStun(): void {
    const { clock } = this.#options;
    const now = clock();
    const due = this.#stun.tick(now);
    if (due === Number.POSITIVE_INFINITY) return;
    this.#timers.after('stun', Math.max(due - now, 1), () => {
      // A mapping that ended is noticed here.
      this.#tellIfChanged();
      this.#tickStun();
    });
  }
}

function namedServers(servers: readonly IceServer[], type: IceServer['type']): IceServer[] {
  return servers.filter((server) => server.type === type).slice(0, MAX_SERVERS_PER_LINK);
}
