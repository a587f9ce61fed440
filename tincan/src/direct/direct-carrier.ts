import { Timers } from '@kith/base';
import {
  DATAGRAM_PROBE,
  DATAGRAM_PROBE_REPLY,
  type DatagramHeader,
  type DirectCandidate,
  type DirectControl,
  MAX_DIRECT_CANDIDATES,
  MIN_PROBE_BYTES,
} from '@kith/protocol';
import { type Endpoint, endpointText } from '../endpoint.ts';
import type { DirectCarrierActions, DirectCarrierOptions, DirectReport } from './carrier-types.ts';
import type { Address, RelayServer } from './direct-port.ts';
import { EventLog } from './event-log.ts';
import { KeyAgreement, type KeyEpoch } from './key-agreement.ts';
import { wipeData } from './key-schedule.ts';
import { PathFinder, type SelectedPath } from './path-finder.ts';
import { addressText } from './path-set.ts';
import { pathText } from './path-text.ts';
import { ProbeOpener, ProbeSealer } from './probe-box.ts';
import { RelayNeed } from './relay-need.ts';
import { relayServerText } from './relay-server-text.ts';
import type { Relay } from './relays.ts';

/** Replies per second to one peer's probes. A search for sizes sends eleven at once, a burst over 48 paths some 250 in a second. */
const MAX_REPLIES_PER_SECOND = 300;

/** Timers of the machines never wait less than this, so that a bug in them costs a core's per mille and not a core. */
const LEAST_WAIT_MS = 2;
/** Nothing on a calm link is so urgent that a timer which is a little early (EARLY_MS of base) should wake the process twice. */
const CALM_LATE_MS = 10;

/** The `direct` carrier of one link: a thin shell that joins the machines for keys and paths to the data plane and the clock. */
export class DirectCarrier {
  readonly #options: DirectCarrierOptions;
  readonly #actions: DirectCarrierActions;
  readonly #timers = new Timers();
  readonly #keys: KeyAgreement;
  readonly #finder: PathFinder;
  readonly #events: EventLog;
  readonly #need: RelayNeed;
  #wantsRelay = false;
  /** Our addresses without relays. */
  #own: readonly DirectCandidate[] = [];
  /** The relays that there are, and those of them that this link uses. */
  #offered: readonly Relay[] = [];
  #relays: readonly Relay[] = [];
  readonly #openers = new Map<number, ProbeOpener>();
  #sealer: ProbeSealer | undefined;
  /** The peer's candidates; probing begins when there is a key to probe with. */
  #candidates: readonly DirectCandidate[] = [];
  #path: SelectedPath | null = null;
  /** Datagrams received before the current receiving key. */
  #receivedBefore = 0;
  #lastReceivedMs: number;
  /** Data datagrams of both directions at the last poll. */
  #datagrams = 0;
  #used = 0;
  #usedByChannel = 0;
  /** What was said of it last, by family. */
  readonly #toldSeenAs = new Map<4 | 6, string>();
  #seenAs: (Endpoint & { at: number }) | undefined;
  #repliesSince = 0;
  #replies = 0;
  #isClosed = false;
  readonly #counters = {
    probes_forged: 0,
    probes_replayed: 0,
    probes_unanswered_by_limit: 0,
    path_changes: 0,
  };

  constructor(options: DirectCarrierOptions, actions: DirectCarrierActions) {
    this.#options = options;
    this.#actions = actions;
    this.#events = options.events ?? new EventLog();
    const { random } = options;
    // One allocation joins the two, and one end's probes keep both at it: the smaller UID asks first.
    const isFirst = options.me < options.peer;
    const { tookMs, slowdown } = options;
    this.#need = new RelayNeed({ isFirst, tookMs, slowdown }, options.clock());
    this.#finder = new PathFinder(
      {
        ladder: (family, isRelayed) => options.ladder(family, isRelayed),
        isForbidden: (ip) => options.isForbidden(ip),
        random,
        isFirst,
        channelHeardAt: options.channelHeardAt,
        isRelayWorth: (rttMs) => isRelayWorth(rttMs, options.channelRtt()),
      },
      {
        probe: (to, id, bytes) => this.#probe(to, id, bytes),
        select: (path, why) => this.#select(path, why),
      },
    );
    this.#keys = new KeyAgreement(
      options,
      {
        send: (message) => actions.send(message),
        reserve: () => actions.reserveIndex(),
        release: (index) => actions.releaseIndex(index),
        install: (epoch) => this.#install(epoch),
        remove: (index) => this.#remove(index),
        use: (epoch) => this.#use(epoch),
        stop: () => this.#stop(),
      },
      options.clock(),
    );
    // What the data plane still says of the link that had this number before is not of interest.
    this.#lastReceivedMs = options.clock();
  }

  /** Offers keys and tells the peer our addresses. */
  start(candidates: readonly DirectCandidate[]): void {
    this.#keys.start(this.#options.clock());
    this.tellCandidates(candidates);
    this.#arm();
  }

  /** Our addresses, whenever they change. */
  tellCandidates(candidates: readonly DirectCandidate[]): void {
    this.#own = candidates;
    const relays = this.#options.peerKnowsRelays ? this.#relays : [];
    // First, because there are few of them and they must not be cut off.
    const list = [
      ...relays.map(({ relayed }): DirectCandidate => ({ ...relayed, kind: 'relay' })),
      ...candidates,
    ];
    this.#actions.send({ t: 'direct_candidates', list: list.slice(0, MAX_DIRECT_CANDIDATES) });
  }

  /** The addresses that our TURN servers gave us, whenever they change. */
  setRelays(relays: readonly Relay[]): void {
    this.#offered = relays;
    this.#useRelays();
    this.#arm();
  }

  /** Our TURN server passes datagrams to this address on from now on. */
  relayReady(address: Address): void {
    this.#finder.relayReady(address, this.#options.clock());
    this.#arm();
  }

  /** A TURN server of ours gives no address. */
  relayFailed(server: RelayServer, why: string): void {
    if (this.#wantsRelay) this.#note(`the TURN server ${relayServerText(server)} gives no address: ${why}`);
  }

  #note(what: string): void {
    this.#events.add(what, this.#options.clock());
  }

  #useRelays(): void {
    const relays = this.#wantsRelay ? this.#offered : [];
    if (relaysText(relays) === relaysText(this.#relays)) return;
    this.#relays = relays;
    for (const { server, relayed } of relays) {
      this.#note(`the TURN server ${relayServerText(server)} gives us ${endpointText(relayed)}`);
    }
    this.#finder.setRelays(
      relays.map(({ server }) => server),
      this.#options.clock(),
    );
    this.tellCandidates(this.#own);
  }

  /** Sees whether a relay is wanted. Returns when to look again. */
  #lookForNeed(now: number): number {
    const wants = this.#need.update(this.#path?.isRelayed === false, this.#finder.isIdle(now), now);
    if (wants !== this.#wantsRelay) {
      this.#wantsRelay = wants;
      this.#note(
        wants ? 'no direct path answers: our TURN servers are asked' : 'the relay is needed no more',
      );
      this.#actions.wantRelay(wants);
      this.#useRelays();
    }
    return this.#need.dueAt;
  }

  /** The interfaces of this machine changed. */
  networkChanged(): void {
    this.#finder.networkChanged(this.#options.clock());
    this.#arm();
  }

  /** @throws PeerError for a message that breaks the protocol. */
  receiveControl(message: DirectControl): void {
    const now = this.#options.clock();
    if (message.t === 'direct_candidates') {
      this.#candidates = message.list;
      if (this.#sealer !== undefined) this.#finder.setCandidates(message.list, now);
    } else {
      this.#keys.receive(message, now);
    }
    this.#arm();
  }

  /** A probe or a reply that names one of this link's receiver indices; anybody may have sent it. */
  receiveProbe(datagram: Uint8Array, header: DatagramHeader, from: Address): void {
    const body = this.#openers.get(header.index)?.open(datagram, header) ?? 'forged';
    if (body === 'forged' || body === 'replayed') {
      this.#counters[`probes_${body}`]++;
      return;
    }
    const now = this.#options.clock();
    const source = { ...from, isPeersRelay: body.isRelayed };
    if (header.type === DATAGRAM_PROBE) {
      this.#finder.askedFrom(source, now);
      this.#reply(body.id, datagram.length, from, now);
    } else {
      // Of what went by way of a server of ours the peer sees that server, which tells nothing of our own network.
      if (from.via === undefined) this.#noteSeenAs({ ip: body.ip, port: body.port }, now);
      this.#finder.answered(source, body.id, now);
    }
    this.#arm();
  }

  /** The data plane could not send on the selected path. */
  pathError(errnoName: string): void {
    const now = this.#options.clock();
    this.#events.add(`sending fails with ${errnoName}`, now);
    this.#finder.pathError(errnoName, now);
    this.#arm();
  }

  /** Nothing flows, a path carries, and nothing speaks against it: `poll` may wait until `whenUsed` of the node tells of a frame. */
  get isCalm(): boolean {
    return this.#finder.isCalm(this.#options.clock());
  }

  /**
   * Looks at what the data plane sent and heard; to be called a few times per second while the carrier is not calm. Says `used` of the report.
   * @param byChannel the same of the data channel: a link whose data has no other way is not idle
   */
  poll(byChannel: number): number {
    const { port, link, clock } = this.#options;
    const { lastReceivedMs, source, rxDatagrams, txDatagrams, used } = port.linkStats(link);
    const datagrams = rxDatagrams + txDatagrams;
    if (datagrams === this.#datagrams && byChannel === this.#usedByChannel) return used;
    this.#datagrams = datagrams;
    // What the kernel says to everybody now and then is no reason to watch every link's path.
    if (used !== this.#used || byChannel !== this.#usedByChannel) this.#finder.dataFlowed(clock());
    this.#used = used;
    this.#usedByChannel = byChannel;
    if (source !== null && lastReceivedMs > this.#lastReceivedMs) {
      this.#lastReceivedMs = lastReceivedMs;
      this.#finder.heardFrom(source, lastReceivedMs);
    }
    this.#arm();
    return used;
  }

  /** Where the peer saw our last probe come from that it answered, and when it said so. */
  get seenAs(): (Endpoint & { at: number }) | undefined {
    return this.#seenAs;
  }

  /** When anything authentic was last heard of the peer; -Infinity: never. */
  get heardAt(): number {
    return this.#finder.heardAt;
  }

  report(): DirectReport {
    const active = this.#finder.active;
    const stats = this.#options.port.linkStats(this.#options.link);
    return {
      path: this.#path,
      rttMs: active?.rttMs ?? null,
      plain: this.#keys.plain ?? false,
      rxBytes: stats.rxBytes,
      txBytes: stats.txBytes,
      used: stats.used,
      heardAt: this.#finder.heardAt,
      events: this.#events.all(),
      counters: {
        direct_rx_datagrams: stats.rxDatagrams,
        direct_tx_datagrams: stats.txDatagrams,
        direct_forged: stats.forged,
        direct_replayed: stats.replayed,
        ...this.#counters,
        offers_refused: this.#keys.refusedOffers,
      },
    };
  }

  /** Ends the carrier and forgets all keys. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timers.clearAll();
    this.#keys.close();
    this.#options.port.removeLink(this.#options.link);
    this.#actions.closed();
  }

  #install({ index, keys }: KeyEpoch): void {
    const { port, link } = this.#options;
    this.#openers.set(index, new ProbeOpener(keys.probe));
    this.#receivedBefore = port.linkStats(link).rxDatagrams;
    port.addReceiver(index, link, keys.data);
    wipeData(keys.data);
  }

  #remove(index: number): void {
    this.#options.port.removeReceiver(index);
    this.#openers.get(index)?.wipe();
    this.#openers.delete(index);
  }

  #use({ epoch, index, keys }: KeyEpoch): void {
    const { port, link, clock } = this.#options;
    const isFirst = this.#sealer === undefined;
    this.#sealer?.wipe();
    this.#sealer = new ProbeSealer(index, keys.probe);
    port.setSender(link, index, keys.data);
    const how = keys.data.mode === 'plain' ? 'plain' : keys.data.cipher;
    wipeData(keys.data);
    // Later epochs come every two minutes of traffic and would fill the story.
    if (!isFirst) return;
    this.#note(`sends with the keys of epoch ${epoch}, ${how}`);
    this.#finder.setCandidates(this.#candidates, clock());
    // Addresses that the peer's probes showed before could not be probed without a key.
    this.#finder.tryAll(clock());
  }

  #stop(): void {
    this.#sealer?.wipe();
    this.#sealer = undefined;
    if (this.#isClosed) return;
    this.#finder.abandon('the keys are too old', this.#options.clock());
  }

  #select(path: SelectedPath | null, why: string): void {
    const before = this.#path;
    const words = path === null ? 'channel' : `${pathText(path)}, ${path.datagramBytes} bytes`;
    const isMove = path === null || before === null || addressText(path) !== addressText(before);
    this.#path = path;
    this.#options.port.setPath(this.#options.link, path);
    this.#events.add(`${words}: ${why}`, this.#options.clock());
    if (!isMove) return;
    // Perhaps a server has forgotten us; the peer, which sends to it, cannot tell.
    if (before?.isRelayed === true && path === null) this.#options.port.checkRelays();
    this.#counters.path_changes++;
    this.#options.log.info({ peer: this.#options.peer, why }, `path: ${words}`);
  }

  #probe(to: Address, id: number, bytes: number): void {
    // Routes change: a path that came to lead into the network goes silent, and is left.
    if (to.via === undefined && this.#options.isForbidden(to.ip)) return;
    this.#sendSealed(DATAGRAM_PROBE, id, bytes, to, bytes);
  }

  #reply(id: number, bytes: number, to: Address, now: number): void {
    if (now - this.#repliesSince >= 1_000) {
      this.#repliesSince = now;
      this.#replies = 0;
    }
    if (++this.#replies > MAX_REPLIES_PER_SECOND || this.#options.isForbidden(to.ip)) {
      this.#counters.probes_unanswered_by_limit++;
      return;
    }
    this.#sendSealed(DATAGRAM_PROBE_REPLY, id, bytes, to, MIN_PROBE_BYTES);
  }

  #sendSealed(type: number, id: number, bytes: number, to: Address, size: number): void {
    const { ip, port, via } = to;
    const datagram = this.#sealer?.seal(type, { id, bytes, ip, port, isRelayed: via !== undefined }, size);
    if (datagram !== undefined) this.#options.port.sendControl(to, datagram);
  }

  #noteSeenAs(address: Endpoint, now: number): void {
    this.#seenAs = { ...address, at: now };
    const text = endpointText(address);
    // Paths of both families answer in turn.
    const family = address.ip.includes(':') ? 6 : 4;
    if (this.#toldSeenAs.get(family) === text) return;
    this.#toldSeenAs.set(family, text);
    this.#note(`the peer sees us as ${text}`);
  }

  /** Lets both machines do what is due, and sets the timer for what comes next. */
  #arm(): void {
    if (this.#isClosed) return;
    const { port, link, clock } = this.#options;
    const now = clock();
    const { rxDatagrams, sentSinceRekey } = port.linkStats(link);
    this.#keys.tick(now, rxDatagrams - this.#receivedBefore, sentSinceRekey);
    const due = Math.min(this.#lookForNeed(now), this.#finder.tick(now), this.#keys.dueAt);
    const isCalm = this.#finder.isCalm(now);
    if (!isCalm) this.#options.restless?.();
    if (due === Number.POSITIVE_INFINITY) return;
    const wait = Math.max(due - now, LEAST_WAIT_MS);
    this.#timers.after('due', isCalm ? wait + CALM_LATE_MS : wait, () => this.#arm());
  }
}

/**
 * A relayed path may take longer than the data channel over a direct pair of ICE's, which moves a quarter of the data at best: for
 * half as much again, and 20 ms, it is worth it.
 */
function isRelayWorth(rttMs: number, channelRtt: number | null): boolean {
  return channelRtt === null || rttMs <= channelRtt * 1.5 + 20;
}

function relaysText(relays: readonly Relay[]): string {
  return relays.map(({ server, relayed }) => `${endpointText(server)} ${endpointText(relayed)}`).join(' ');
}
