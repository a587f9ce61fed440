import { describeError, type Logger, PeerError, Timers } from '@kith/base';
import {
  type Candidate,
  type ControlMessage,
  DIRECT_FEATURE,
  type DirectControl,
  decodeControl,
  encodeControl,
  formatCandidate,
  type Hello,
  type IceServer,
  MAX_CANDIDATES,
  type PeerState,
  type Uid,
} from '@kith/protocol';
import { ChannelCarrier } from './channel/channel-carrier.ts';
import { Liveness } from './channel/liveness.ts';
import { endpointText, PeerSession, type SelectedPair } from './channel/peer-session.ts';
import type { IceCredentials } from './channel/session-description.ts';
import { ControlRate } from './control-rate.ts';
import type { DirectCarrier } from './direct/direct-carrier.ts';
import type { PathEvent } from './direct/event-log.ts';
import { proveSecurity } from './hello-security.ts';
import type { LinkEvents, LinkParameters, LocalNode } from './link-types.ts';
import { type LinkReport, peerStateOf } from './peer-state.ts';

/** Host candidates come within a millisecond of each other; this is how long the first waits for company before it is reported. */
const CANDIDATE_BATCH_MS = 5;

/**
 * How long the DTLS client (the smaller UID) leaves the first connectivity checks to the server. libdatachannel drops a ClientHello
 * that arrives before the receiver's own ICE is connected, and repeats it after one second (libdatachannel#1635). When the server
 * checks first, it is connected first: two nodes on one machine took 1.0 s to connect in 4 of 10 tries without this, and in 1 of 16
 * with it (0.15 s in the others). Where the server's checks cannot get through until ours have opened a NAT, this is the price.
 */
const SERVER_HEAD_START_MS = 100;

/** A link that is not online by then has failed: ICE checks end after 39.5 s (libjuice), DTLS needs seconds more. */
export const SETUP_TIMEOUT_MS = 60_000;

/**
 * A link whose direct carrier heard the peer within this time lives on although its control channel is silent: ICE does not follow a
 * node that moves, the direct carrier does. It ends when libdatachannel gives up the channel (30 s, RFC 7675 §5.1), and a new
 * attempt makes a new one.
 */
const DIRECT_ALIVE_MS = 2_500;

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
  readonly #timers = new Timers();
  readonly #session: PeerSession;
  readonly #carrier: ChannelCarrier;
  readonly #liveness: Liveness;
  readonly #createdAt: number;
  readonly #localCandidates: Candidate[] = [];
  readonly #remoteCandidates = new Map<string, Candidate>();
  /** The peer's candidates that ICE has not been given yet. */
  #unchecked: Candidate[] = [];
  #attempt: number;
  #gathered = false;
  #state: 'connecting' | 'online' | 'closed' = 'connecting';
  #hello: Hello | undefined;
  /** The peer's certificate, known once the link is bound. */
  #fingerprint: string | undefined;
  #security: LinkParameters['security'];
  #encrypted: boolean;
  #mismatch: string | null = null;
  #direct: DirectCarrier | undefined;
  readonly #iceServers: readonly IceServer[];
  readonly #controlRate = new ControlRate();
  #malformedControl = 0;
  /** Set by the owner: something a person should know about this link, e.g. an address conflict. */
  note: string | null = null;

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
    this.#encrypted = parameters.encrypted;
    this.#security = parameters.security;
    this.#iceServers = parameters.iceServers;
    this.#log = log;
    this.#events = events;
    this.#createdAt = now;
    this.#liveness = new Liveness(now);
    this.#session = new PeerSession(
      { identity: node.identity, peerUid: parameters.uid, iceServers: parameters.iceServers, portRange, log },
      {
        candidate: (candidate) => this.#localCandidate(candidate),
        gathered: () => this.#candidatesComplete(),
        open: () => this.#sendHello(),
        control: (text) => this.#receiveControl(text, performance.now()),
        frames: (message) => this.#receiveFrames(message, performance.now()),
        writable: () => this.#carrier.flush(),
        failed: (reason) => this.close(reason),
      },
    );
    this.#carrier = new ChannelCarrier(this.#session, {
      chunk: (data, offset, length) => this.#events.chunk(this, data, offset, length),
      sendCredit: (report) => this.#send({ t: 'credit', ...report }),
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
    return this.#gathered;
  }

  /** Whether the peer's description has been applied; before that, the attempt may still be renumbered. */
  get isBound(): boolean {
    return this.#session.remote !== undefined;
  }

  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** Renumbers an unbound attempt: the peer is ahead in counting, and nothing of ours is lost by following. */
  renumber(attempt: number): void {
    this.#attempt = attempt;
  }

  /** What the controller knows about security now; it may come with the second of IPOP's two create_link calls. */
  setSecurity(encrypted: boolean, security: LinkParameters['security']): void {
    if (this.isBound) return;
    this.#encrypted = encrypted;
    this.#security = security ?? this.#security;
  }

  /** Local candidates so far in IPOP's form, separated by spaces. */
  localCandidates(): string {
    return this.#localCandidates.map(formatCandidate).join(' ');
  }

  /** Whether these credentials are those of the session that the link is bound to. */
  isBoundTo(ice: IceCredentials): boolean {
    return this.#session.remote?.ufrag === ice.ufrag && this.#session.remote.pwd === ice.pwd;
  }

  /**
   * The peer's candidates, which carry its ICE credentials. The first call binds the link to the peer's session and its fingerprint;
   * later ones add.
   * Exceeding candidates are ignored: MAX_CANDIDATES bounds what ICE has to check.
   */
  addRemote(fingerprint: string, candidates: readonly Candidate[]): void {
    const first = candidates[0];
    if (first === undefined || this.#state === 'closed') return;
    if (!this.isBound) {
      this.#fingerprint = fingerprint;
      this.#session.applyRemote(fingerprint, { ufrag: first.ufrag, pwd: first.pwd });
      if (this.uid > this.#node.identity.uid) {
        this.#timers.after('head start', SERVER_HEAD_START_MS, () => this.#checkCandidates());
      }
    }
    for (const candidate of candidates) {
      const key = formatCandidate(candidate);
      if (this.#remoteCandidates.has(key) || this.#remoteCandidates.size >= MAX_CANDIDATES) continue;
      this.#remoteCandidates.set(key, candidate);
      this.#unchecked.push(candidate);
    }
    if (!this.#timers.has('head start')) this.#checkCandidates();
  }

  /** Queues what one read of the TAP device gave; dropped while the link is not online. */
  enqueue(data: Uint8Array, offset: number, length: number): void {
    this.#carrier.enqueue(data, offset, length);
  }

  flush(): void {
    this.#carrier.flush();
  }

  /** To be called a few times per second. */
  tick(now: number): void {
    if (this.#state === 'connecting') {
      if (now - this.#createdAt > SETUP_TIMEOUT_MS) this.close('not connected within 60 s');
      return;
    }
    if (this.#state !== 'online') return;
    this.#direct?.poll();
    if (
      this.#liveness.isDead(now) &&
      now - (this.#direct?.heardAt ?? Number.NEGATIVE_INFINITY) > DIRECT_ALIVE_MS
    ) {
      this.close(`nothing heard for ${Math.round(this.#liveness.silence(now) / 1000)} s`);
      return;
    }
    const ping = this.#liveness.pingDue(now);
    if (ping !== undefined) this.#send({ t: 'ping', id: ping, sent: this.#carrier.sent });
  }

  report(now: number): LinkReport {
    const direct = this.#direct?.report();
    return {
      uid: this.uid,
      attempt: this.#attempt,
      fingerprint: this.#fingerprint,
      online: this.#state === 'online',
      ageMs: now - this.#createdAt,
      silenceMs:
        this.#hello === undefined
          ? null
          : Math.max(
              0,
              Math.min(this.#liveness.silence(now), now - (direct?.heardAt ?? Number.NEGATIVE_INFINITY)),
            ),
      rttMs: direct?.path == null ? this.#liveness.rtt : direct.rttMs,
      ip4: this.#hello?.ip4 ?? null,
      ip6: this.#hello?.ip6 ?? null,
      agreed: this.#encrypted ? 'encrypted' : 'plain',
      pair: this.#state === 'online' ? this.#selectedPair() : null,
      direct: direct?.path == null ? null : { ...direct.path, plain: direct.plain },
      rxBytes: this.#carrier.rxBytes + (direct?.rxBytes ?? 0),
      txBytes: this.#carrier.txBytes + (direct?.txBytes ?? 0),
      detail: this.#mismatch ?? this.note,
      counters: {
        rx_chunks: this.#carrier.rxChunks,
        dropped_queue_full: this.#carrier.dropped,
        malformed_frames: this.#carrier.malformed,
        malformed_control: this.#malformedControl,
        loss_per_mille: Math.round(this.#carrier.lossPerMille),
        ...direct?.counters,
      },
    };
  }

  peerState(now: number, stats: boolean): PeerState {
    return peerStateOf(this.report(now), stats);
  }

  /** What happened to the direct path lately, oldest first. */
  pathEvents(): readonly PathEvent[] {
    return this.#direct?.report().events ?? [];
  }

  /** Ends the link for good. Idempotent. */
  close(reason: string): void {
    if (this.#state === 'closed') return;
    const wasOnline = this.#state === 'online';
    this.#state = 'closed';
    this.#timers.clearAll();
    this.#direct?.close();
    this.#direct = undefined;
    try {
      if (wasOnline) this.#session.sendControl(encodeControl({ t: 'bye', reason: reason.slice(0, 200) }));
      this.#session.close();
    } catch (error) {
      this.#log.warn({ err: error, peer: this.uid }, `closing a link: ${describeError(error)}`);
    }
    this.#events.closed(this, reason);
  }

  /**
   * ICE calls an address peer-reflexive when a check from it came before it was signalled (RFC 8445 §7.3.1.3); a person wants to know
   * what it is, which the signalled candidate tells.
   */
  #selectedPair(): SelectedPair | null {
    const pair = this.#session.selectedPair();
    if (pair === null) return null;
    const signalled = [...this.#remoteCandidates.values()].find(
      ({ ip, port }) => endpointText(ip, port) === pair.remote,
    );
    return signalled === undefined ? pair : { ...pair, remoteType: signalled.type };
  }

  /** Hands the peer's candidates to ICE, which begins its checks. */
  #checkCandidates(): void {
    for (const candidate of this.#unchecked.splice(0)) {
      try {
        this.#session.addCandidate(candidate);
      } catch (error) {
        this.#log.warn({ peer: this.uid }, `ICE refuses a candidate: ${describeError(error)}`);
      }
    }
  }

  #localCandidate(candidate: Candidate): void {
    if (this.#localCandidates.length >= MAX_CANDIDATES || this.#isOverlayAddress(candidate.ip)) return;
    this.#localCandidates.push(candidate);
    if (!this.#timers.has('candidates')) {
      this.#timers.after('candidates', CANDIDATE_BATCH_MS, () =>
        this.#events.candidates(this, this.#gathered),
      );
    }
  }

  #candidatesComplete(): void {
    this.#gathered = true;
    this.#timers.clear('candidates');
    this.#events.candidates(this, true);
  }

  /** A link must not run through the overlay that it makes. */
  #isOverlayAddress(ip: string): boolean {
    return ip === this.#node.ip4 || ip === this.#node.ip6;
  }

  #sendHello(): void {
    this.#send({
      t: 'hello',
      v: 1,
      uid: this.#node.identity.uid,
      attempt: this.#attempt,
      ip4: this.#node.ip4,
      ip6: this.#node.ip6,
      security: this.#security?.mine ?? null,
      heard: this.#security?.theirs ?? null,
      features: this.#node.direct === undefined ? [] : [DIRECT_FEATURE],
    });
  }

  #send(message: ControlMessage): void {
    this.#session.sendControl(encodeControl(message));
  }

  #receiveFrames(message: Uint8Array, now: number): void {
    // Frames may overtake the hello on their own stream; who sent them is proved by DTLS, but their addresses are not bound yet.
    if (this.#state !== 'online') return;
    this.#liveness.heard(now);
    this.#carrier.receive(message);
  }

  #receiveControl(text: string, now: number): void {
    if (this.#controlRate.isFlood(now)) {
      this.close('the peer floods the control channel');
      return;
    }
    let message: ControlMessage;
    try {
      message = decodeControl(text);
    } catch (error) {
      this.#malformedControl++;
      this.#log.debug({ peer: this.uid }, describeError(error));
      return;
    }
    this.#liveness.heard(now);
    this.#handleControl(message, now);
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
      case 'bye':
        this.close(`the peer said: ${message.reason}`);
        break;
      default:
        this.#receiveDirect(message);
    }
  }

  /** A message about the direct carrier; one that comes where there is none, or breaks its protocol, changes nothing. */
  #receiveDirect(message: DirectControl): void {
    try {
      if (this.#direct === undefined) this.#malformedControl++;
      else this.#direct.receiveControl(message);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#malformedControl++;
      this.#log.debug({ peer: this.uid }, describeError(error));
    }
  }

  #receiveHello(hello: Hello): void {
    if (this.#hello !== undefined) {
      this.#malformedControl++;
      return;
    }
    if (hello.uid !== this.uid || this.#session.remoteFingerprint !== this.#fingerprint) {
      this.close('hello and certificate name different nodes');
      return;
    }
    this.#hello = hello;
    const proved = proveSecurity({ encrypted: this.#encrypted, terms: this.#security }, hello);
    this.#encrypted = proved.encrypted;
    this.#mismatch = proved.mismatch;
    if (proved.mismatch !== null) this.#log.warn({ peer: this.uid }, proved.mismatch);
    this.#state = 'online';
    this.#events.online(this, hello);
    // The listener may have closed the link.
    if (this.state === 'online') this.#openDirect(hello, proved.plain);
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
      send: (message) => this.#send(message),
    });
  }
}
