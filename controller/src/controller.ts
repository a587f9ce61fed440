import { describeError, KithError, type Logger, monotonicMs, Timers } from '@kith/base';
import type { KithConfig } from '@kith/config';
import {
  bareJid,
  type ConResp,
  type ConStat,
  encodeSignal,
  type LocalState,
  type PeerState,
  RESOURCE_PREFIX,
  type SecurityTerms,
  type StatusReport,
  type Uid,
  uidOfFullJid,
} from '@kith/protocol';
import { Admission } from './admission.ts';
import { IceServers } from './ice-servers.ts';
import type { KnownNodes } from './known-nodes.ts';
import { Membership } from './membership.ts';
import { type PeerAction, PeerMachine } from './peer-machine.ts';
import { buildStatus, type PeerView } from './status-report.ts';
import type { TincanState } from './tincan-calls.ts';
import { TincanClient } from './tincan-client.ts';
import {
  type HubState,
  type IncomingSignal,
  type PresenceChange,
  type RosterItem,
  SignalRefused,
  XmppSession,
} from './xmpp/index.ts';

/** When tincan could not be set up (a TAP name taken, a right missing), it is tried again this often; `kith status` shows why. */
const SETUP_RETRY_MS = 2_000;

/** Shortest pause between two looks at the machines' clocks. */
const MIN_TICK_MS = 20;

/** Peer nodes that we keep a machine for; a roster beyond it is not a circle of friends, and each machine costs a kilobyte. */
const MAX_PEERS = 2_048;

/** Presences and signals that may wait for the hub's STUN and TURN servers; they wait half a second at most. */
const MAX_WAITING = 1_024;

interface Peer {
  readonly machine: PeerMachine;
  /** Bare JID of the member. */
  readonly member: string;
  /** Full JID of the node's controller, once heard. */
  jid: string | undefined;
  present: boolean;
}

/** Brings together the hub session, who is a member, the machine of each peer node, and tincan. */
export class Controller {
  readonly #config: KithConfig;
  readonly #log: Logger;
  readonly #known: KnownNodes;
  readonly #membership: Membership;
  readonly #admission: Admission;
  readonly #tincan: TincanClient;
  readonly #iceServers: IceServers;
  readonly #peers = new Map<Uid, Peer>();
  readonly #timers = new Timers();
  readonly #mine: SecurityTerms;
  readonly #startedAt = monotonicMs();
  #session: XmppSession | undefined;
  #local: LocalState | undefined;
  #ready = false;
  #rosterKnown = false;
  #setupProblem: string | null = null;
  /** What came before links may begin; undefined once they may. */
  #waiting: (() => void)[] | undefined = [];
  readonly counters = { links_requested: 0, revoked: 0, peers_beyond_limit: 0, dropped_before_ready: 0 };

  constructor(config: KithConfig, apiPort: number, secretFile: string, known: KnownNodes, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#known = known;
    this.#mine = config.security;
    this.#membership = new Membership(config.xmpp.jid, config.network.group);
    this.#admission = new Admission(this.#membership, known);
    this.#iceServers = new IceServers(config.ice, log, () => this.#linksMayBegin());
    this.#tincan = new TincanClient(apiPort, secretFile, log, {
      started: (state) => void this.#tincanStarted(state),
      lost: (reason) => this.#tincanLost(reason),
      notification: (message) => {
        if (message.type === 'con_resp') this.#candidates(message);
        else this.#linkState(message);
      },
    });
  }

  async start(): Promise<void> {
    await this.#tincan.start();
  }

  /** Signs out and stops; tincan and its links go on. */
  async stop(): Promise<void> {
    this.#timers.clearAll();
    this.#iceServers.stop();
    await this.#session?.stop();
    this.#tincan.stop();
    await this.#known.saved();
  }

  /** What `kith status` shows; asks tincan for its measurements first. */
  async status(): Promise<StatusReport> {
    let state: TincanState | undefined;
    try {
      state = await this.#tincan.getState('', true);
    } catch (error) {
      this.#log.debug(`status without tincan: ${describeError(error)}`);
    }
    const now = monotonicMs();
    const views: PeerView[] = [...this.#peers.values()].map(({ machine, member, present }) => ({
      uid: machine.uid,
      member,
      present,
      state: machine.state,
      why: machine.why,
      lastFailure: machine.lastFailure,
    }));
    return buildStatus({
      config: this.#config,
      now,
      startedAt: this.#startedAt,
      hub: this.#session?.state,
      tincanProblem: this.#tincan.down ?? this.#setupProblem,
      local: state?.local ?? this.#local,
      measured: state?.peers ?? [],
      peers: views,
      memberCount: this.#rosterKnown ? this.#membership.count : null,
      members: this.#config.network.group === undefined ? [] : [...this.#membership.others()],
      counters: {
        ...state?.local.counters,
        ...this.#tincan.counters,
        ...this.#session?.counters,
        ...this.#admission.counters,
        ...this.counters,
      },
    });
  }

  async #tincanStarted(state: TincanState): Promise<void> {
    const { local, peers: links } = state;
    this.#local = local;
    this.#ready = false;
    this.#timers.clear('setup');
    try {
      const { ip4 } = this.#config.network;
      // "::" means: where this call comes from.
      await this.#tincan.call('set_cb_endpoint', { ip: '::', port: this.#tincan.port });
      await this.#tincan.call('set_local_ip', {
        uid: local._uid,
        ip4: ip4.address,
        ip4_mask: ip4.prefix_length,
        switchmode: 1,
      });
    } catch (error) {
      this.#setupProblem = describeError(error);
      this.#log.error(`tincan cannot be set up: ${this.#setupProblem}`);
      this.#timers.after('setup', SETUP_RETRY_MS, () => void this.#tincanStarted(state));
      return;
    }
    this.#setupProblem = null;
    this.#ready = true;
    this.#reconcile(links);
    if (this.#session === undefined) this.#openSession(local._uid);
  }

  /** Brings the machines and the links of a tincan that was just reached to one state. */
  #reconcile(links: readonly PeerState[]): void {
    const now = monotonicMs();
    const running = new Set(links.map((link) => link.uid));
    for (const [uid, peer] of this.#peers) {
      if (running.has(uid)) continue;
      this.#perform(peer, peer.machine.tincanRestarted(now));
      if (peer.present) this.#perform(peer, peer.machine.present(now));
    }
    for (const link of links) {
      const existing = this.#peers.get(link.uid);
      if (existing !== undefined && existing.machine.attempt === link.attempt) continue;
      const member = this.#known.jidOf(link.uid);
      const peer = member === undefined ? undefined : this.#peer(link.uid, member);
      const admitted = member !== undefined && (!this.#rosterKnown || this.#membership.isMember(member));
      if (peer === undefined || !admitted) {
        this.#call('trim_link', { uid: link.uid, reason: 'its member is not known to the controller' });
        continue;
      }
      this.#log.info({ peer: link.uid, member, attempt: link.attempt }, 'taking over a running link');
      this.#perform(peer, peer.machine.adopt(link.attempt, link.status === 'online', now));
    }
    this.#schedule();
  }

  #tincanLost(reason: string): void {
    this.#ready = false;
    this.#timers.clear('setup');
    this.#log.warn(`tincan is lost: ${reason}`);
  }

  #openSession(uid: Uid): void {
    const { xmpp } = this.#config;
    const session = new XmppSession({
      jid: xmpp.jid,
      password: xmpp.password,
      server: xmpp.server,
      ca: xmpp.ca,
      resource: `${RESOURCE_PREFIX}${uid}`,
      log: this.#log,
    });
    this.#session = session;
    session.on('state', (state) => this.#hubState(session, state));
    session.on('session', ({ resumed }) => this.#sessionBegins(resumed));
    session.on('roster', (items) => this.#roster(items));
    session.on('roster-push', (item) => this.#rosterPush(item));
    session.on('presence', (change) => this.#whenLinksMayBegin(() => this.#presence(change)));
    session.on('signal', (signal) => this.#whenLinksMayBegin(() => this.#signal(signal)));
    session.start();
  }

  #hubState(session: XmppSession, { state, detail }: HubState): void {
    this.#log.info({ state, detail }, `hub ${state}`);
    if (state === 'online') this.#iceServers.refresh(() => session.discoverIceServers());
    this.#schedule();
  }

  #sessionBegins(resumed: boolean): void {
    if (!resumed) {
      for (const peer of this.#peers.values()) {
        peer.present = false;
        this.#perform(peer, peer.machine.absent());
      }
    }
    this.#schedule();
  }

  #whenLinksMayBegin(action: () => void): void {
    if (this.#waiting === undefined) action();
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(action);
    else this.counters.dropped_before_ready++;
  }

  #linksMayBegin(): void {
    const actions = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const action of actions) action();
  }

  #roster(items: readonly RosterItem[]): void {
    this.#membership.reset(items);
    this.#rosterKnown = true;
    this.#revokeStrangers();
  }

  #rosterPush(item: RosterItem): void {
    this.#membership.update(item);
    this.#revokeStrangers();
  }

  /** Ends every link whose member does not belong to the network any more. */
  #revokeStrangers(): void {
    for (const [uid, peer] of this.#peers) {
      if (this.#membership.isMember(peer.member)) continue;
      this.counters.revoked++;
      this.#log.info({ peer: uid, member: peer.member }, 'no member any more');
      this.#perform(peer, peer.machine.revoke('not a member of the network any more'));
      this.#peers.delete(uid);
    }
    this.#schedule();
  }

  #presence({ from, available }: PresenceChange): void {
    const uid = uidOfFullJid(from);
    if (uid === undefined || uid === this.#local?._uid) return;
    if (!this.#admission.admits(from, uid)) return;
    const peer = this.#peer(uid, bareJid(from));
    if (peer === undefined) return;
    peer.present = available;
    if (available) peer.jid = from;
    if (!available) this.#perform(peer, peer.machine.absent());
    else if (this.#ready) this.#perform(peer, peer.machine.present(monotonicMs()));
    this.#schedule();
  }

  #signal(incoming: IncomingSignal): void {
    const verdict = this.#admission.judge(incoming.from, incoming.type, incoming.data);
    if (verdict.refused !== undefined) {
      if (verdict.detail !== undefined) this.#log.warn({ from: incoming.from }, verdict.detail);
      incoming.refuse(verdict.refused);
      return;
    }
    const { type, signal } = verdict;
    const peer = this.#peer(signal.uid, bareJid(incoming.from));
    if (peer === undefined || !this.#ready) {
      incoming.refuse('resource-constraint');
      return;
    }
    peer.jid = incoming.from;
    const actions = peer.machine.signal(type, signal, monotonicMs());
    if (actions === undefined) incoming.refuse('not-acceptable');
    else incoming.respond();
    this.#perform(peer, actions ?? []);
    this.#schedule();
  }

  #candidates({ uid, attempt, data }: ConResp): void {
    const peer = this.#peers.get(uid);
    if (peer === undefined) return;
    const space = data.indexOf(' ');
    this.#perform(peer, peer.machine.described(attempt, space < 0 ? '' : data.slice(space + 1)));
  }

  #linkState({ uid, data, attempt, reason }: ConStat): void {
    const peer = this.#peers.get(uid);
    if (peer === undefined) return;
    const now = monotonicMs();
    if (data === 'online') peer.machine.online(attempt, now);
    else this.#perform(peer, peer.machine.offline(attempt, reason ?? 'the link ended', now));
    this.#schedule();
  }

  #peer(uid: Uid, member: string): Peer | undefined {
    const existing = this.#peers.get(uid);
    if (existing !== undefined) return existing;
    if (this.#peers.size >= MAX_PEERS) {
      this.counters.peers_beyond_limit++;
      return undefined;
    }
    const peer: Peer = { machine: new PeerMachine(uid, this.#mine), member, jid: undefined, present: false };
    this.#peers.set(uid, peer);
    return peer;
  }

  #perform(peer: Peer, actions: readonly PeerAction[]): void {
    for (const action of actions) {
      switch (action.do) {
        case 'create-link':
          this.#createLink(peer, action);
          break;
        case 'trim-link':
          this.#call('trim_link', { uid: action.uid, reason: action.reason });
          break;
        case 'send':
          this.#send(peer, action);
          break;
      }
    }
  }

  #createLink({ machine }: Peer, { uid, attempt, remote }: Extract<PeerAction, { do: 'create-link' }>): void {
    this.counters.links_requested++;
    const parameters = {
      uid,
      attempt,
      ice_servers: this.#iceServers.current(),
      ...(remote === undefined
        ? {}
        : {
            fpr: remote.fpr,
            cas: remote.cas,
            sec: remote.encrypted,
            security: { mine: this.#mine, theirs: remote.terms },
          }),
    };
    this.#tincan.call('create_link', parameters).catch((error: unknown) => {
      const now = monotonicMs();
      const taken = error instanceof KithError && error.code === 'ATTEMPT_TAKEN';
      const actions = taken
        ? machine.taken(attempt, now)
        : machine.offline(attempt, describeError(error), now);
      this.#log.warn({ peer: uid, attempt }, describeError(error));
      this.#performFor(uid, actions);
    });
  }

  #send(peer: Peer, { type, attempt, cas, uid }: Extract<PeerAction, { do: 'send' }>): void {
    const local = this.#local;
    if (peer.jid === undefined || local === undefined || this.#session === undefined) return;
    const data = encodeSignal({ v: 1, uid: local._uid, fpr: local._fpr, attempt, cas, security: this.#mine });
    this.#session.sendSignal(peer.jid, type, data).catch((error: unknown) => {
      const reason = describeError(error);
      this.#log.info({ peer: uid, type, attempt }, `not delivered: ${reason}`);
      const unwanted = error instanceof SignalRefused && error.condition === 'not-acceptable';
      this.#performFor(
        uid,
        unwanted
          ? peer.machine.refusedByPeer(attempt, 'the peer refuses the link: no common security group')
          : peer.machine.undelivered(attempt, reason, monotonicMs()),
      );
    });
  }

  /** For what comes of an answer: the peer may be gone by then. */
  #performFor(uid: Uid, actions: readonly PeerAction[]): void {
    const peer = this.#peers.get(uid);
    if (peer !== undefined) this.#perform(peer, actions);
    this.#schedule();
  }

  #call(method: 'trim_link', parameters: object): void {
    this.#tincan.call(method, parameters).catch((error: unknown) => this.#log.warn(describeError(error)));
  }

  /** One timer for all machines. While the hub is away nothing could be signalled, so no attempt is begun or given up. */
  #schedule(): void {
    const next = Math.min(...[...this.#peers.values()].map(({ machine }) => machine.nextDeadline()));
    if (!Number.isFinite(next) || !this.#ready || this.#session?.state.state !== 'online') {
      this.#timers.clear('machines');
      return;
    }
    this.#timers.after('machines', Math.max(MIN_TICK_MS, next - monotonicMs()), () => {
      const now = monotonicMs();
      for (const peer of this.#peers.values()) this.#perform(peer, peer.machine.tick(now));
      this.#schedule();
    });
  }
}
