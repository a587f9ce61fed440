import { describeError, type Logger, monotonicMs, Timers } from '@kith/base';
import type { KithConfig } from '@kith/config';
import {
  type IceServer,
  type LocalState,
  RESOURCE_PREFIX,
  type SecurityTerms,
  type StatusReport,
  type Uid,
} from '@kith/protocol';
import { AddressDesk, type AddressMemory } from './address-desk.ts';
import { withAddresses } from './address-status.ts';
import { Admission } from './admission.ts';
import { DirectPort } from './direct-port.ts';
import { IceServers } from './ice-servers.ts';
import { machineResolver, OutsideNames, outsideServers, rangeOf } from './infrastructure/index.ts';
import type { KnownNodes } from './known-nodes.ts';
import { withLayers } from './layer-status.ts';
import { LinkRunner } from './link-runner.ts';
import { LinkStories } from './link-stories.ts';
import { LinkTurns } from './link-turns.ts';
import { LinkWatch } from './link-watch.ts';
import { Membership } from './membership.ts';
import { withEvents, withPaths } from './path-status.ts';
import { PeerCircle } from './peer-circle.ts';
import { PeerTable } from './peer-table.ts';
import { PinnedTenure } from './pinned-tenure.ts';
import { StartGate } from './start-gate.ts';
import { buildStatus } from './status-report.ts';
import { takeOver } from './take-over.ts';
import type { TincanState } from './tincan-calls.ts';
import { TincanClient } from './tincan-client.ts';
import { Trust } from './trust.ts';
import { TrustCommands } from './trust-commands.ts';
import { withTrust } from './trust-status.ts';
import { type BlockChange, type HubState, type RosterItem, XmppSession } from './xmpp/index.ts';

/** When tincan could not be set up (a TAP name taken, a right missing), it is tried again this often; `kith status` shows why. */
const SETUP_RETRY_MS = 2_000;

/**
 * So long a question for the status waits for a controller that has just been started: links may run that it has not taken over yet, and
 * to say that there are none would be wrong. A running tincan is found and asked within 0.2 s.
 */
const FIRST_LOOK_MS = 800;

/** Brings together the hub session, who is a member, the machine of each peer node, and tincan. */
export class Controller {
  readonly #config: KithConfig;
  readonly #log: Logger;
  readonly #known: KnownNodes;
  readonly #membership: Membership;
  readonly #trust: Trust;
  readonly #admission: Admission;
  /** What `kith trust` does. */
  readonly trustCommands: TrustCommands;
  readonly #tincan: TincanClient;
  readonly #names: OutsideNames;
  readonly #iceServers: IceServers;
  readonly #peers: PeerTable;
  readonly #runner: LinkRunner;
  readonly #stories = new LinkStories();
  readonly #watch: LinkWatch;
  readonly #addresses: AddressDesk;
  readonly #circle: PeerCircle;
  readonly #directPort: DirectPort;
  readonly #timers = new Timers();
  readonly #mine: SecurityTerms;
  readonly #startedAt = monotonicMs();
  /** Settles when the links of a running tincan were taken over, or none was found in time. */
  readonly #firstLook: Promise<void>;
  #endFirstLook: () => void = () => undefined;
  #session: XmppSession | undefined;
  #local: LocalState | undefined;
  #ready = false;
  #rosterKnown = false;
  #setupProblem: string | null = null;
  readonly #gate = new StartGate();
  #iceSettled = false;

  constructor(
    config: KithConfig,
    apiPort: number,
    secretFile: string,
    known: KnownNodes,
    memory: AddressMemory,
    log: Logger,
  ) {
    this.#config = config;
    this.#log = log;
    this.#firstLook = new Promise((resolve) => {
      this.#endFirstLook = resolve;
    });
    this.#known = known;
    const { trust, ...terms } = config.security;
    this.#mine = terms;
    this.#membership = new Membership(config.xmpp.jid, config.network.group);
    this.#trust = new Trust(trust, known, config.xmpp.jid, config.network.links.when === 'on-demand');
    this.#admission = new Admission(this.#membership, this.#trust);
    this.trustCommands = new TrustCommands(
      this.#trust,
      () => ({ jid: config.xmpp.jid, uid: this.#local?._uid, fpr: this.#local?._fpr }),
      () => this.#circle.reviewTrust(),
    );
    this.#names = new OutsideNames(machineResolver, rangeOf(config));
    const outside = (servers: readonly IceServer[]) => outsideServers(servers, this.#names, log);
    this.#iceServers = new IceServers(config.ice, log, outside, () => {
      this.#iceSettled = true;
      this.#beginLinks();
    });
    this.#peers = new PeerTable(this.#mine, config.network.links.when === 'on-demand');
    this.#tincan = new TincanClient(apiPort, secretFile, log, {
      started: (state) => void this.#tincanStarted(state),
      lost: (reason) => this.#tincanLost(reason),
      notification: (message) => {
        if (message.type === 'con_resp') this.#circle.candidates(message);
        else if (message.type === 'link_wanted') this.#circle.wanted(message.uid);
        else if (message.type === 'link_suspect') this.#circle.suspect(message);
        else if (message.type === 'network_changed') this.#circle.networkChanged();
        else this.#circle.linkState(message);
      },
    });
    this.#directPort = new DirectPort({ config, secretFile, tincan: this.#tincan, log });
    const turns = new LinkTurns();
    this.#runner = new LinkRunner({
      turns,
      ...{ log, tincan: this.#tincan, iceServers: this.#iceServers, jid: config.xmpp.jid, mine: this.#mine },
      stories: this.#stories,
      session: () => this.#session,
      local: () => this.#local,
      addressing: () => this.#addresses.addressing,
      later: (uid, actions) => this.#circle.performFor(uid, actions),
    });
    this.#watch = new LinkWatch({
      ...{ links: config.network.links, peers: this.#peers, tincan: this.#tincan, log },
      rest: (peer, reason) => this.#circle.perform(peer, peer.machine.rest(reason)),
    });
    const { jid } = config.xmpp;
    const tenure = new PinnedTenure(known, jid, (of) => !this.#rosterKnown || this.#membership.isMember(of));
    this.#addresses = new AddressDesk({
      ...{ config, memory, tenure, peers: this.#peers, tincan: this.#tincan, log },
      session: () => this.#session,
      ready: () => this.#ready,
      trim: (uid, reason) => this.#runner.trim(uid, reason),
      settled: () => this.#beginLinks(),
    });
    this.#circle = new PeerCircle({
      ...{ log, membership: this.#membership, trust: this.#trust, admission: this.#admission },
      ...{ peers: this.#peers, runner: this.#runner, watch: this.#watch },
      ...{ addresses: this.#addresses, gate: this.#gate, stories: this.#stories, turns },
      session: () => this.#session,
      local: () => this.#local,
      ready: () => this.#ready,
    });
  }

  async start(): Promise<void> {
    this.#timers.after('first look', FIRST_LOOK_MS, this.#endFirstLook);
    await this.#tincan.start();
    this.#addresses.start();
    this.#watch.start();
  }

  /** There may be another tincan than before, or none. */
  lookForTincan(): void {
    this.#tincan.look();
  }

  /** Signs out and stops; tincan and its links go on. */
  async stop(): Promise<void> {
    this.#timers.clearAll();
    this.#endFirstLook();
    this.#circle.stop();
    this.#iceServers.stop();
    await this.#session?.stop();
    this.#watch.stop();
    await this.#directPort.stop();
    this.#tincan.stop();
    await Promise.all([this.#known.saved(), this.#addresses.stop()]);
  }

  /**
   * What `kith status` shows; asks tincan for its measurements first.
   * @param eventsOf whose links' last events are told too
   */
  async status(eventsOf?: string): Promise<StatusReport> {
    await this.#firstLook;
    let state: TincanState | undefined;
    try {
      state = await this.#tincan.glance();
    } catch (error) {
      this.#log.debug(`status without tincan: ${describeError(error)}`);
    }
    const now = monotonicMs();
    const report = buildStatus({
      config: this.#config,
      now,
      startedAt: this.#startedAt,
      hub: this.#session?.state,
      tincanProblem: this.#tincan.down ?? this.#setupProblem,
      local: state?.local ?? this.#local,
      measured: state?.peers ?? [],
      peers: this.#peers.views(),
      memberCount: this.#rosterKnown ? this.#membership.count : null,
      members: this.#config.network.group === undefined ? [] : [...this.#membership.others()],
      counters: {
        ...state?.local.counters,
        ...this.#tincan.counters,
        ...this.#session?.counters,
        ...this.#admission.counters,
        ...this.#peers.counters,
        ...this.#runner.counters,
        ...this.#watch.counters,
        ...this.#addresses.addressing?.counters,
        ...this.#gate.counters,
        ...this.#circle.counters,
      },
    });
    const located = withAddresses(
      report,
      this.#addresses.addressing,
      (uid) => this.#peers.get(uid)?.member ?? this.#known.jidOf(uid),
    );
    const layered = withLayers(located, this.#config.network.layer, state?.peers ?? []);
    const explained = withPaths(layered, {
      ...{ measured: state?.peers ?? [], peers: this.#peers.views(), now },
      servers: this.#iceServers.current(),
    });
    const whole = { ...withTrust(explained, this.#trust), direct: { port_mapping: this.#directPort.status } };
    if (eventsOf === undefined) return whole;
    return withEvents(whole, eventsOf, this.#stories, (uid) => this.#tincan.pathEvents(uid));
  }

  async #tincanStarted(state: TincanState): Promise<void> {
    const { local, peers: links } = state;
    this.#local = local;
    this.#ready = false;
    this.#timers.clear('setup');
    try {
      // "::" means: where this call comes from.
      await this.#tincan.call('set_cb_endpoint', { ip: '::', port: this.#tincan.port });
      await this.#addresses.setUp(local._uid);
    } catch (error) {
      this.#setupProblem = describeError(error);
      this.#log.error(`tincan cannot be set up: ${this.#setupProblem}`);
      this.#timers.after('setup', SETUP_RETRY_MS, () => void this.#tincanStarted(state));
      this.#endFirstLook();
      return;
    }
    this.#setupProblem = null;
    this.#ready = true;
    takeOver(links, {
      ...{ peers: this.#peers, runner: this.#runner, watch: this.#watch, addresses: this.#addresses },
      ...{ log: this.#log, addressesAreTheirs: this.#config.network.kind === 'group' },
      admitted: (of) => this.#admittedMember(of),
      peer: (of, member) => this.#circle.peer(of, member),
    });
    this.#endFirstLook();
    this.#circle.schedule();
    this.#addresses.sync();
    void this.#directPort.tincanReady();
    if (this.#session === undefined) this.#openSession(local._uid);
  }

  #admittedMember(uid: Uid): string | undefined {
    const member = this.#known.jidOf(uid);
    if (member === undefined || !this.#trust.allows(member, uid)) return undefined;
    return !this.#rosterKnown || this.#membership.isMember(member) ? member : undefined;
  }

  #tincanLost(reason: string): void {
    this.#ready = false;
    this.#timers.clear('setup');
    this.#log.warn(`tincan is lost: ${reason}`);
  }

  #openSession(uid: Uid): void {
    const { jid, password, server, ca } = this.#config.xmpp;
    const resource = `${RESOURCE_PREFIX}${uid}`;
    const resolve = (host: string) => this.#names.resolve(host);
    const session = new XmppSession({ jid, password, server, ca, resource, resolve, log: this.#log });
    this.#session = session;
    session.on('state', (state) => this.#hubState(session, state));
    session.on('session', ({ resumed }) => this.#sessionBegins(resumed));
    session.on('roster', (items) => this.#roster(items));
    session.on('roster-push', (item) => this.#rosterPush(item));
    session.on('blocked', (change) => this.#blocked(session, change));
    session.on('presence', (change) => this.#circle.presence(change));
    session.on('signal', (signal) => this.#gate.whenOpen(() => this.#circle.signal(signal)));
    this.#addresses.announce();
    session.start();
  }

  #hubState(session: XmppSession, { state, detail }: HubState): void {
    this.#log.info({ state, detail }, `hub ${state}`);
    if (state === 'online') this.#iceServers.refresh(() => session.discoverIceServers());
    this.#circle.schedule();
  }

  #sessionBegins(resumed: boolean): void {
    if (!resumed) {
      this.#trust.waiting.allAbsent();
      for (const peer of this.#peers.values()) this.#circle.leave(peer);
    }
    this.#circle.schedule();
  }

  /** Links begin when relays are at hand and this node's address is settled: a change of it would end them again. */
  #beginLinks(): void {
    if (!this.#iceSettled || this.#addresses.addressing?.isSettled !== true) return;
    this.#gate.open();
  }

  #roster(items: readonly RosterItem[]): void {
    this.#membership.reset(items);
    this.#rosterKnown = true;
    this.#circle.revokeStrangers();
    this.#addresses.listen();
  }

  #rosterPush(item: RosterItem): void {
    this.#membership.update(item);
    this.#circle.revokeStrangers();
  }

  #blocked(session: XmppSession, change: BlockChange): void {
    const welcome = this.#membership.block(change);
    this.#circle.revokeStrangers();
    // The hub told them that we went, and tells neither side that the other is there.
    if (welcome.length > 0) this.#addresses.announce();
    for (const jid of welcome) session.probe(jid);
  }
}
