import { randomBytes, randomInt } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { describeError, type Logger, Timers } from '@kith/base';
import {
  canonicalIp,
  DATAGRAM_PROBE,
  DATAGRAM_PROBE_REPLY,
  type DirectCandidate,
  type DirectControl,
  type IceServer,
  readDatagramHeader,
  type Uid,
} from '@kith/protocol';
import { DirectCarrier } from './direct-carrier.ts';
import type { Address, DirectPort } from './direct-port.ts';
import {
  type CandidateRules,
  carryingAddresses,
  directCandidates,
  isUsableIp,
  type LocalAddress,
} from './local-addresses.ts';
import { addressText } from './path-set.ts';
import { sizeLadder } from './size-search.ts';
import { StunClient } from './stun-client.ts';

/** How often the addresses of the interfaces are read: a change is noticed within this, and a reading costs some 50 µs. */
const INTERFACES_MS = 2_000;

/** First byte of a STUN message (RFC 7983 §7). */
const STUN_LAST_FIRST_BYTE = 3;

/** Names of STUN servers that are resolved for one link; each hub names one or two. */
const MAX_STUN_SERVERS_PER_LINK = 4;

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
}

export interface OpenDirect {
  /** Number by which the data plane knows the link. */
  link: number;
  peer: Uid;
  /** The peer's overlay addresses, at which it must not be probed. */
  peerOverlay: readonly string[];
  attempt: number;
  plain: boolean;
  iceServers: readonly IceServer[];
  send(message: DirectControl): void;
}

/** All addresses of a host name, as the machine's resolver gives them. */
export async function resolveHost(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** What the direct carriers of a node share: the socket's addresses, STUN, and the way of a probe to its link. */
export class DirectNode {
  readonly #options: DirectNodeOptions;
  readonly #timers = new Timers();
  readonly #stun: StunClient;
  readonly #carriers = new Map<number, DirectCarrier>();
  /** Link of each receiver index that we gave out. */
  readonly #indices = new Map<number, number>();
  readonly #stunServers = new Map<number, Address[]>();
  #local: LocalAddress[];
  #told: string;
  readonly counters = { direct_unknown_datagrams: 0, direct_unknown_stun: 0 };

  constructor(options: DirectNodeOptions) {
    this.#options = options;
    const { port } = options;
    this.#stun = new StunClient({
      send: ({ ip, port: serverPort }, request) => port.sendControl(ip, serverPort, request),
      randomBytes,
    });
    this.#local = this.#readAddresses();
    this.#told = this.#candidates().map(addressText).join(' ');
    port.onControl((data, from) => this.#receive(data, from));
    port.onPathError((link, errnoName) => this.#carriers.get(link)?.pathError(errnoName));
    this.#timers.every('interfaces', INTERFACES_MS, () => this.#checkInterfaces());
  }

  /** The direct carrier of a link whose hello has come. It ends with its `close`. */
  open(link: OpenDirect): DirectCarrier {
    const { port, me, aes, log, clock, isOverlay } = this.#options;
    this.#carriers.get(link.link)?.close();
    const mtus = this.#local.flatMap(({ mtu }) => (mtu === undefined ? [] : [mtu]));
    const carrier = new DirectCarrier(
      {
        link: link.link,
        me,
        peer: link.peer,
        attempt: link.attempt,
        plain: link.plain,
        aes,
        port,
        log,
        clock,
        random: Math.random,
        ladder: (family) => sizeLadder(family, mtus),
        isForbidden: (ip) =>
          !isUsableIp(ip) || !this.#hasFamily(ip) || isOverlay(ip) || link.peerOverlay.includes(ip),
      },
      {
        send: link.send,
        reserveIndex: () => this.#reserveIndex(link.link),
        releaseIndex: (index) => this.#indices.delete(index),
        closed: () => this.#closed(link.link, carrier),
      },
    );
    this.#carriers.set(link.link, carrier);
    carrier.start(this.#candidates());
    this.#learnStunServers(link.link, link.iceServers);
    return carrier;
  }

  close(): void {
    this.#timers.clearAll();
    for (const carrier of [...this.#carriers.values()]) carrier.close();
  }

  #closed(link: number, carrier: DirectCarrier): void {
    if (this.#carriers.get(link) !== carrier) return;
    this.#carriers.delete(link);
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

  #receive(data: Uint8Array, from: Address): void {
    const source = { ip: canonicalIp(from.ip) ?? from.ip, port: from.port };
    if ((data[0] ?? 0xff) <= STUN_LAST_FIRST_BYTE) {
      this.#receiveStun(data, source);
      return;
    }
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

  #receiveStun(data: Uint8Array, from: Address): void {
    if (!this.#stun.receive(data, from, this.#options.clock())) {
      this.counters.direct_unknown_stun++;
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

  #candidates(): DirectCandidate[] {
    return directCandidates(this.#local, this.#stun.mapped(this.#options.clock()), this.#rules());
  }

  #hasFamily(ip: string): boolean {
    const { family } = this.#options.port;
    return family === 'dual' || family === (ip.includes(':') ? 6 : 4);
  }

  #checkInterfaces(): void {
    const before = JSON.stringify(this.#local);
    this.#local = this.#readAddresses();
    if (JSON.stringify(this.#local) === before) return;
    this.#options.log.info(
      { addresses: this.#local.map(({ ip }) => ip) },
      'the addresses of this machine changed',
    );
    this.#stun.restart(this.#options.clock());
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

  #learnStunServers(link: number, servers: readonly IceServer[]): void {
    const stun = servers.filter(({ type }) => type === 'stun').slice(0, MAX_STUN_SERVERS_PER_LINK);
    const found: Address[] = [];
    this.#stunServers.set(link, found);
    const carrier = this.#carriers.get(link);
    for (const { host, port } of stun) {
      this.#options.resolve(host).then(
        (addresses) => {
          if (this.#carriers.get(link) !== carrier) return;
          for (const text of addresses) {
            const ip = canonicalIp(text);
            if (ip !== undefined && this.#hasFamily(ip)) found.push({ ip, port });
          }
          this.#useStunServers();
        },
        (error: unknown) => {
          this.#options.log.warn({ host }, `the STUN server cannot be found: ${describeError(error)}`);
        },
      );
    }
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
