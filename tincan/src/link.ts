import { describeError, type Logger, monotonicMs, type PeerError } from '@kith/base';
import {
  type Candidate,
  type ControlMessage,
  DIRECT_FEATURE,
  DIRECT_RELAY_FEATURE,
  type DirectControl,
  encodeControl,
  type Hello,
  type IceServer,
  NETWORK_FEATURE,
  type PeerState,
  RELAY_FEATURE,
  type RelayMessage,
  type Translation,
  type Uid,
} from '@kith/protocol';
import { CandidateExchange } from './candidate-exchange.ts';
import { ChannelCarrier } from './channel/channel-carrier.ts';
import { isRelayedPair, PeerSession, type SelectedPair } from './channel/peer-session.ts';
import type { IceCredentials } from './channel/session-description.ts';
import { ControlInbox } from './control-inbox.ts';
import type { DirectCarrier } from './direct/direct-carrier.ts';
import { EventLog } from './direct/event-log.ts';
import { clientGoesFirst, type EndAddresses } from './head-start.ts';
import { layerText } from './hello.ts';
import { LinkAgreement } from './link-agreement.ts';
import { LinkLiveness } from './link-liveness.ts';
import type { LinkEvents, LinkParameters, LinkTerms, LocalNode } from './link-types.ts';
import { NetworkExchange } from './network-exchange.ts';
import { hereText, type LinkReport, peerStateOf } from './peer-state.ts';

/** A link that is not online by then has failed: ICE checks end after 39.5 s (libjuice), DTLS needs seconds more. */
export const SETUP_TIMEOUT_MS = 60_000;

/** Bytes that may wait in the control channel before controllers' messages are refused; pings must not wait behind more than this. */
const MAX_RELAY_BACKLOG = 65_536;

/** How long a refused peer has to hear why: a hello that was lost comes again within a second (RFC 9260 §16, RTO.Min), twice with this. */
const LAST_WORDS_MS = 2_500;

/**
 * The relation to one peer node: connecting → online → closed. It lives as long as one attempt; a new attempt is a new Link in the
 * same slot.
 */
export class Link {
  readonly uid: Uid;
  /** Number by which the tap workers know the link. */
  readonly slot: number;
  readonly #node: LocalNode;
  readonly #events: LinkEvents;
  readonly #log: Logger;
  readonly #session: PeerSession;
  readonly #carrier: ChannelCarrier;
  readonly #liveness: LinkLiveness;
  readonly #agreement: LinkAgreement;
  readonly #createdAt: number;
  readonly #candidates: CandidateExchange;
  #attempt: number;
  #state: 'connecting' | 'online' | 'closed' = 'connecting';
  /** The peer's certificate, known once the link is bound. */
  #fingerprint: string | undefined;
  #boundAt: number | undefined;
  #direct: DirectCarrier | undefined;
  readonly #iceServers: readonly IceServer[];
  readonly #history: EventLog;
  readonly #slowdown: () => number;
  readonly #network = new NetworkExchange();
  readonly #inbox: ControlInbox;
  /** Set by the owner: something a person should know about this link, e.g. an address conflict. */
  note: string | null = null;
  /** Set by the owner: the address at which this node sees the peer, where its own is translated. */
  seenAt: string | null = null;

  constructor(
    slot: number,
    node: LocalNode,
    parameters: LinkParameters,
    portRange: readonly [number, number] | undefined,
    log: Logger,
    events: LinkEvents,
    now: number,
  ) {
    this.slot = slot;
    this.uid = parameters.uid;
    this.#node = node;
    this.#attempt = parameters.attempt;
    this.#agreement = new LinkAgreement(parameters);
    this.#iceServers = parameters.iceServers;
    this.#history = parameters.history ?? new EventLog();
    this.#slowdown = parameters.slowdown ?? (() => 1);
    this.#history.add(`attempt ${parameters.attempt} begins`, now);
    this.#log = log;
    this.#inbox = new ControlInbox(parameters.uid, log);
    this.#events = events;
    this.#createdAt = now;
    this.#liveness = new LinkLiveness(now);
    this.#session = new PeerSession(
      { identity: node.identity, peerUid: parameters.uid, stunServer: parameters.stunServer, portRange, log },
      {
        candidate: (candidate) => this.#candidates.addLocal(candidate),
        gathered: () => this.#candidates.gathered(),
        open: () => void this.#send(this.#agreement.ownHello(node, this.#attempt)),
        control: (text) => this.#receiveControl(text, monotonicMs()),
        frames: (message) => this.#receiveFrames(message, monotonicMs()),
        writable: () => this.#carrier.flush(),
        failed: (reason) => this.#channelFailed(reason),
      },
    );
    this.#candidates = new CandidateExchange(
      {
        known: (complete) => this.#events.candidates(this, complete),
        check: (candidate) => this.#session.addCandidate(candidate),
        isExcluded: (ip) => node.isExcluded(ip),
        relayLost: (reason) => this.#relayLost(reason),
      },
      { relay: parameters.relay, history: this.#history, log },
    );
    this.#candidates.start(this.#session.local);
    this.#carrier = new ChannelCarrier(this.#session, {
      chunk: (data, offset, length) => this.#events.chunk(this, data, offset, length),
      sendCredit: (report) => void this.#send({ t: 'credit', ...report }),
      violation: (reason) => this.close(reason),
    });
  }

  get attempt(): number {
    return this.#attempt;
  }

  get state(): 'connecting' | 'online' | 'closed' {
    return this.#state;
  }

  get isGathered(): boolean {
    return this.#candidates.isGathered;
  }

  /** Whether the peer's description has been applied; before that, the attempt may still be renumbered. */
  get isBound(): boolean {
    return this.#session.remote !== undefined;
  }

  get hello(): Hello | undefined {
    return this.#agreement.hello;
  }

  /** Why the peer's hello was not accepted. */
  get refusal(): PeerError | undefined {
    return this.#agreement.refusal;
  }

  /** Milliseconds since ICE knows addresses of the peer; 0: it does not. */
  boundMs(now: number): number {
    return now - (this.#boundAt ?? now);
  }

  /** Renumbers an unbound attempt: the peer is ahead in counting, and nothing of ours is lost by following. */
  renumber(attempt: number): void {
    this.#attempt = attempt;
    this.#history.add(`it counts as attempt ${attempt}, as the peer's does`, monotonicMs());
  }

  /** What the controller knows now; it may come with the second of IPOP's two create_link calls. Too late once the link is bound. */
  setTerms(terms: LinkTerms): void {
    if (!this.isBound) this.#agreement.setTerms(terms);
  }

  /** The address translation that the controller wants. */
  get translation(): Translation | undefined {
    return this.#agreement.translation;
  }

  /** Local candidates so far in IPOP's form, separated by spaces. */
  localCandidates(): string {
    return this.#candidates.local();
  }

  /** Whether these credentials are those of the session that the link is bound to. */
  isBoundTo(ice: IceCredentials): boolean {
    return this.#session.remote?.ufrag === ice.ufrag && this.#session.remote.pwd === ice.pwd;
  }

  /**
   * The peer's candidates, which carry its ICE credentials. The first call binds the link to the peer's session and its fingerprint;
   * later ones add.
   */
  addRemote(fingerprint: string, candidates: readonly Candidate[]): void {
    const first = candidates[0];
    if (first === undefined || this.#state === 'closed') return;
    if (!this.isBound) {
      this.#fingerprint = fingerprint;
      this.#boundAt = monotonicMs();
      this.#session.applyRemote(fingerprint, { ufrag: first.ufrag, pwd: first.pwd });
      if (this.#mayWait(candidates)) this.#candidates.giveHeadStart();
    }
    this.#candidates.addRemote(candidates);
  }

  /** Whether the peer's checks are to go first. The smaller UID is DTLS client. */
  #mayWait(candidates: readonly Candidate[]): boolean {
    const ours = this.#node.direct?.addresses ?? [];
    const own: EndAddresses = {
      hosts: ours.filter(({ kind }) => kind === 'host').map(({ ip }) => ip),
      mapped: ours.filter(({ kind }) => kind === 'mapped').map(({ ip }) => ip),
    };
    const theirs: EndAddresses = {
      hosts: candidates.filter(({ type }) => type === 'local').map(({ ip }) => ip),
      mapped: candidates.filter(({ type }) => type === 'stun').map(({ ip }) => ip),
    };
    const isClient = this.#node.identity.uid < this.uid;
    return isClient ? !clientGoesFirst(own, theirs) : clientGoesFirst(theirs, own);
  }

  /** Queues what one read of the TAP device gave; dropped while the link is not online. */
  enqueue(data: Uint8Array, offset: number, length: number): void {
    this.#carrier.enqueue(data, offset, length);
  }

  flush(): void {
    this.#carrier.flush();
  }

  /** Whether the peer takes messages for its controller. */
  get relays(): boolean {
    return this.#state === 'online' && this.hello?.features.includes(RELAY_FEATURE) === true;
  }

  /** Sends a message to the peer's controller; false when the control channel has no room for it now. */
  relay(message: RelayMessage): boolean {
    return this.#session.controlBuffered <= MAX_RELAY_BACKLOG && this.#send(message);
  }

  /** Whether it carries data, or did until it fell silent. */
  isInUse(now: number): boolean {
    return this.#state === 'online' && this.#liveness.isInUse(now);
  }

  /** Whether a tick each second is enough. */
  get isCalm(): boolean {
    return this.#state === 'online' && this.#liveness.isCalm;
  }

  /** Whether nothing is to be seen by a tick but what the direct carrier asks and hears by itself. */
  get isResting(): boolean {
    return this.isCalm && this.#direct?.isCalm === true;
  }

  /**
   * To be called a few times per second, once while it is calm, and at the `restless` event at the latest while it is resting.
   * @param dueAt when the call was to be
   */
  tick(now: number, dueAt = now): void {
    if (this.#state === 'connecting') {
      if (now - this.#createdAt > SETUP_TIMEOUT_MS) this.close('not connected within 60 s');
      return;
    }
    if (this.#state !== 'online') return;
    this.#candidates.tick(now, () => this.#session.selectedPair());
    this.#noteTraffic(this.#direct?.poll(this.#carrier.usedBytes) ?? 0, now);
    this.#tellNetwork();
    const wasSuspect = this.#liveness.isSuspect;
    if (!this.#liveness.look(now, this.#heardDirectlyAt, dueAt)) {
      this.close(`nothing heard for ${Math.round(this.#silence(now) / 1000)} s`);
      return;
    }
    const { isSuspect } = this.#liveness;
    if (isSuspect !== wasSuspect) this.#events.suspect(this, isSuspect);
    const ping = this.#liveness.pingDue(now);
    if (ping !== undefined) this.#send({ t: 'ping', id: ping, sent: this.#carrier.sent });
  }

  /** Addresses or routes of this machine changed. */
  networkChanged(now: number): void {
    this.#liveness.networkChanged(now);
    this.tick(now);
  }

  report(now: number): LinkReport {
    const direct = this.#direct?.report();
    const pair = this.#state === 'online' ? this.#pair : null;
    this.#noteTraffic(direct?.used ?? 0, now);
    return {
      uid: this.uid,
      attempt: this.#attempt,
      fingerprint: this.#fingerprint,
      online: this.#state === 'online',
      ageMs: now - this.#createdAt,
      silenceMs: this.hello === undefined ? null : this.#silence(now),
      rttMs: direct?.path == null ? this.#liveness.rtt : direct.rttMs,
      ip4: this.seenAt ?? this.hello?.ip4 ?? null,
      ip6: this.hello?.ip6 ?? null,
      agreed: this.#agreement.isEncrypted ? 'encrypted' : 'plain',
      pair,
      via: pair?.localType === 'relay' ? this.#candidates.relayStream : undefined,
      network: this.#network.theirs,
      layer: this.hello?.layer,
      direct: direct?.path == null ? null : { ...direct.path, plain: direct.plain },
      rxBytes: this.#carrier.rxBytes + (direct?.rxBytes ?? 0),
      txBytes: this.#carrier.txBytes + (direct?.txBytes ?? 0),
      idleMs: this.#liveness.idleMs(now),
      detail: this.#agreement.mismatch ?? this.note,
      counters: {
        rx_chunks: this.#carrier.rxChunks,
        dropped_queue_full: this.#carrier.dropped,
        malformed_frames: this.#carrier.malformed,
        malformed_control: this.#inbox.malformed,
        dropped_relay: this.#candidates.relayDropped,
        other_layer: this.hello === undefined || layerText(this.#node, this.hello) === '' ? 0 : 1,
        loss_per_mille: Math.round(this.#carrier.lossPerMille),
        ...direct?.counters,
      },
    };
  }

  peerState(now: number, stats: boolean): PeerState {
    return peerStateOf(this.report(now), stats);
  }

  /** Ends the link for good. Idempotent. */
  close(reason: string): void {
    if (this.#state === 'closed') return;
    const wasOnline = this.#state === 'online';
    this.#state = 'closed';
    this.#history.add(`attempt ${this.#attempt} ${wasOnline ? 'ended' : 'failed'}: ${reason}`, monotonicMs());
    this.#candidates.stop();
    this.#direct?.close();
    this.#direct = undefined;
    try {
      if (wasOnline) this.#session.sendControl(encodeControl({ t: 'bye', reason: reason.slice(0, 200) }));
      this.#session.close(this.refusal === undefined ? 0 : LAST_WORDS_MS);
    } catch (error) {
      this.#log.warn({ err: error, peer: this.uid }, `closing a link: ${describeError(error)}`);
    }
    this.#events.closed(this, reason);
  }

  /** ICE finds out in half a minute that its relay is gone, and makes no new one; a new attempt does at once. */
  #relayLost(reason: string): void {
    const pair = this.#pair;
    if (pair !== null && pair.localType !== 'relay') return;
    if (this.#isCarriedDirectly(monotonicMs())) return;
    this.close(`the relay is gone: ${reason}`);
  }

  /** The library gave up the channel. Its keys allow the direct carrier two minutes without it, in which a new attempt makes a new one. */
  #channelFailed(reason: string): void {
    const now = monotonicMs();
    if (this.#state !== 'online' || !this.#liveness.channelLost(now, this.#heardDirectlyAt)) {
      this.close(reason);
      return;
    }
    this.#history.add(`the control channel ended (${reason}); the direct path is asked`, now);
    this.#direct?.networkChanged();
    this.tick(now);
  }

  /** The addresses that carry the channel, for people. */
  get #pair(): SelectedPair | null {
    return this.#candidates.named(this.#session.selectedPair());
  }

  get #heardDirectlyAt(): number {
    return this.#direct?.heardAt ?? Number.NEGATIVE_INFINITY;
  }

  #isCarriedDirectly(now: number): boolean {
    return this.#liveness.isCarried(now, this.#heardDirectlyAt);
  }

  /** Milliseconds since the peer was last heard, by whichever way. */
  #silence(now: number): number {
    return this.#liveness.silence(now, this.#heardDirectlyAt);
  }

  #noteTraffic(usedDirectly: number, now: number): void {
    this.#liveness.noteTraffic(this.#carrier.usedBytes + usedDirectly, now);
  }

  #send(message: ControlMessage): boolean {
    return this.#session.sendControl(encodeControl(message));
  }

  #receiveFrames(message: Uint8Array, now: number): void {
    // Frames may overtake the hello on their own stream; who sent them is proved by DTLS, but their addresses are not bound yet.
    if (this.#state !== 'online') return;
    this.#liveness.heard(now);
    this.#carrier.receive(message);
  }

  #receiveControl(text: string, now: number): void {
    const message = this.#inbox.read(text, now);
    if (message === 'flood') {
      this.close('the peer floods the control channel');
    } else if (message !== undefined) {
      this.#liveness.heard(now);
      this.#handleControl(message, now);
    }
  }

  #handleControl(message: ControlMessage, now: number): void {
    switch (message.t) {
      case 'hello':
        this.#receiveHello(message);
        break;
      case 'ping':
        this.#send({ t: 'pong', id: message.id });
        this.#carrier.peerSent(message.sent);
        break;
      case 'pong':
        this.#liveness.pong(message.id, now);
        break;
      case 'credit':
        this.#carrier.credit(message);
        break;
      case 'message':
      case 'icc':
        this.#events.relayed(this, message);
        break;
      case 'network':
        this.#network.receive(message);
        break;
      case 'bye':
        this.close(`the peer said: ${message.reason}`);
        break;
      default:
        this.#receiveDirect(message);
    }
  }

  /** A message about the direct carrier; one that comes where there is none is as malformed as one that breaks its protocol. */
  #receiveDirect(message: DirectControl): void {
    if (this.#direct === undefined) this.#inbox.malformed++;
    this.#inbox.take(() => this.#direct?.receiveControl(message));
  }

  #receiveHello(hello: Hello): void {
    if (this.hello !== undefined) {
      this.#inbox.malformed++;
      return;
    }
    if (hello.uid !== this.uid || this.#session.remoteFingerprint !== this.#fingerprint) {
      this.close('hello and certificate name different nodes');
      return;
    }
    if (!this.#agreement.accept(hello)) {
      // It may have overtaken the news that our channels are open, and the peer is to learn the same from our hello.
      this.#send(this.#agreement.ownHello(this.#node, this.#attempt));
      this.close(this.refusal?.message ?? 'the peer is refused');
      return;
    }
    const { mismatch } = this.#agreement;
    if (mismatch !== null) this.#log.warn({ peer: this.uid }, mismatch);
    this.#state = 'online';
    this.#candidates.online(monotonicMs());
    this.#history.add(`online, ${hereText(this.#pair)}${layerText(this.#node, hello)}`, monotonicMs());
    this.#events.online(this, hello);
    // The listener may have closed the link.
    if (this.state === 'online') this.#openDirect(hello, this.#agreement.isPlain);
  }

  #openDirect(hello: Hello, plain: boolean): void {
    const { direct } = this.#node;
    if (direct === undefined || !hello.features.includes(DIRECT_FEATURE)) return;
    this.#direct = direct.open({
      link: this.slot,
      peer: this.uid,
      peerOverlay: [hello.ip4, hello.ip6].filter((ip) => ip !== null),
      attempt: Math.max(this.#attempt, hello.attempt),
      plain,
      iceServers: this.#iceServers,
      peerKnowsRelays: hello.features.includes(DIRECT_RELAY_FEATURE),
      tookMs: this.boundMs(monotonicMs()),
      slowdown: this.#slowdown(),
      channelHeardAt: () => this.#liveness.channelHeardAt,
      channelRtt: () => (isRelayedPair(this.#pair) ? null : this.#liveness.rtt),
      send: (message) => void this.#send(message),
      restless: () => this.#events.restless(),
      events: this.#history,
    });
  }

  #tellNetwork(): void {
    if (this.hello?.features.includes(NETWORK_FEATURE) !== true) return;
    const news = this.#network.news(this.#node.direct?.network());
    if (news !== undefined) this.#send(news);
  }
}
