import { randomBytes } from 'node:crypto';
import { BugError, ConfigError, KithError, monotonicMs, PeerError, SystemError, Timers } from '@kith/base';
import { type Element, xml } from '@xmpp/client';
import { blockListRequest, parseBlockList, parseBlockPush } from './blocking.ts';
import { HubStream, PING_ID } from './hub-stream.ts';
import { InboundSignals } from './inbound-signals.ts';
import { domainOf, localOf, normalJid, resourceOf } from './jid.ts';
import { NS } from './namespaces.ts';
import { announcementElement, type NodeAnnouncement } from './node-announcement.ts';
import { Outbox, type Outgoing } from './outbox.ts';
import { Requests } from './requests.ts';
import { SafeEmitter } from './safe-emitter.ts';
import { parseServer } from './server-url.ts';
import { SignalRefused } from './signal-refused.ts';
import { signalStanza } from './signal-stanza.ts';
import {
  errorCondition,
  errorStanza,
  parsePresence,
  parsePush,
  parseRoster,
  parseServices,
  resultStanza,
} from './stanza.ts';
import type { HubState, IceServer, XmppCounters, XmppEvents, XmppOptions } from './types.ts';

/** From the call to the answer, time in the queue included: an offer older than that finds its sender with a newer one. */
const SIGNAL_MS = 30_000;
/** A network of some hundred members, each with a con_req and some candidates under way, when the hub comes back. */
const OUTBOX = { entries: 2048, bytes: 8 * 1024 * 1024 };
/**
 * Below zero the hub never gives us messages to the bare JID (RFC 6121 §8.5.2.1.1): a person's chat client on the same account
 * keeps them.
 */
const PRIORITY = '-1';
/** Answers of a hub that has no XEP-0215. */
const NO_DISCO = new Set(['service-unavailable', 'feature-not-implemented', 'item-not-found']);

interface Signal extends Outgoing<Element> {
  resolve(): void;
  reject(error: Error): void;
}

/**
 * The session at the hub. Once started it is kept up until stopped: whatever happens on the way is told by `state` events
 * and mended by trying again, at a pace that fits the cause.
 */
export class XmppSession {
  readonly #counters: Omit<XmppCounters, 'connects'> = {
    sessions: 0,
    resumptions: 0,
    signals_sent: 0,
    signals_received: 0,
    signals_expired: 0,
    signals_dropped: 0,
    signals_repeated: 0,
    signals_overrun: 0,
    signals_malformed: 0,
    signals_unanswered: 0,
    pushes_forged: 0,
    answers_stray: 0,
    stanzas_ignored: 0,
    stanzas_lost: 0,
    listener_errors: 0,
  };
  readonly #jid: string;
  readonly #domain: string;
  readonly #fullJid: string;
  readonly #events: SafeEmitter<XmppEvents>;
  readonly #stream: HubStream;
  readonly #outbox = new Outbox<Signal>(OUTBOX);
  readonly #requests = new Requests();
  readonly #inbound: InboundSignals;
  readonly #timers = new Timers();
  /** Ids must not be guessable by those who would answer in another's place. */
  readonly #idPrefix = randomBytes(8).toString('hex');
  #idSerial = 0;
  #node: NodeAnnouncement | undefined;
  /** What the hub was told last, by identity. */
  #announcedNode: NodeAnnouncement | undefined;
  /** Counts streams, so that what was begun on one does not go on upon another. */
  #generation = 0;

  /** @throws ConfigError XMPP_JID or XMPP_SERVER if JID, resource or server make no sense */
  constructor(options: XmppOptions) {
    const jid = normalJid(options.jid);
    if (jid === null || localOf(jid) === null || resourceOf(jid) !== null) {
      throw new ConfigError('XMPP_JID', `${options.jid} is no account: expected name@domain`, {
        field: 'xmpp.jid',
      });
    }
    const { resource, password, ca, resolve, log } = options;
    const fullJid = normalJid(`${jid}/${resource}`);
    if (fullJid === null || resourceOf(fullJid) === null) {
      throw new ConfigError('XMPP_JID', `${resource} is no resource of a JID`);
    }
    this.#jid = jid;
    this.#domain = domainOf(jid);
    this.#fullJid = fullJid;
    this.#events = new SafeEmitter<XmppEvents>((event, error) => {
      this.#counters.listener_errors++;
      log.error({ event, err: error }, 'a listener of the XMPP session failed');
    });
    this.#inbound = new InboundSignals({
      send: (stanza) => this.#answer(stanza),
      deliver: (signal) => this.#events.emit('signal', signal),
      counters: this.#counters,
    });
    const server = parseServer(options.server);
    this.#stream = new HubStream(
      { jid, domain: this.#domain, password, resource, server, ca, resolve, log },
      {
        onFresh: () => this.#onFresh(),
        onResumed: () => {
          this.#counters.resumptions++;
          if (this.#announcedNode !== this.#node) this.#sendPresence();
          this.#events.emit('session', { resumed: true });
        },
        onStanza: (stanza) => this.#onStanza(stanza),
        onRoom: () => this.#flush(),
        onForgotten: (unsent) => this.#onForgotten(unsent),
        onState: (state) => {
          this.#events.emit('state', state);
          if (state.state === 'online') this.#flush();
        },
      },
    );
  }

  get state(): HubState {
    return this.#stream.state;
  }

  /** A copy of the counters as they stand. */
  get counters(): XmppCounters {
    return { connects: this.#stream.connects, ...this.#counters };
  }

  on<K extends keyof XmppEvents>(event: K, listener: (value: XmppEvents[K]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  off<K extends keyof XmppEvents>(event: K, listener: (value: XmppEvents[K]) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  /** Begins to connect; does nothing if already begun. */
  start(): void {
    this.#stream.start();
  }

  /** Signs out and forgets everything. Resolves when the connection is closed, after 1 s at most; no timer is left. */
  async stop(): Promise<void> {
    const error = stopped();
    this.#timers.clearAll();
    this.#inbound.clear();
    this.#requests.rejectAll(error);
    for (const signal of this.#outbox.clear()) signal.reject(error);
    await this.#stream.stop();
  }

  /** What our presence says of this node from now on; sent at once while the session is there. */
  announce(node: NodeAnnouncement): void {
    this.#node = { ...node };
    if (this.state.state === 'online') this.#sendPresence();
  }

  /** Something looks dead: whether the connection to the hub lives is found out within a second or so. */
  check(): void {
    this.#stream.check();
  }

  /** This machine's network changed: as `check`, and what waits or began before is tried anew at once. */
  networkChanged(): void {
    this.#stream.networkChanged();
  }

  /** Asks for the presence of a contact's nodes (RFC 6121 §4.3), which the hub would not tell again by itself. */
  probe(to: string): void {
    this.#stream.send(xml('presence', { type: 'probe', to }));
  }

  /**
   * Sends a signal to another node and resolves when that node has answered that it took it. Waits in a queue while the hub is
   * away. If a session is lost with the signal under way, it is sent again: the other end may see it twice.
   * @param to full JID
   * @param type printable ASCII without blanks, at most 64 characters
   * @param data printable ASCII, tabs and line feeds, at most `SIGNAL_DATA_MAX` characters
   * @throws SignalRefused (a PeerError, code XMPP_SIGNAL_REFUSED) with the condition that the other end or a hub answered;
   *   SystemError XMPP_SIGNAL_EXPIRED after 30 s, XMPP_OUTBOX_FULL, XMPP_STOPPED; BugError XMPP_SIGNAL_FORM
   */
  async sendSignal(to: string, type: string, data: string): Promise<void> {
    const peer = normalJid(to);
    if (peer === null || resourceOf(peer) === null) {
      throw new BugError('XMPP_SIGNAL_FORM', `${to} is no full JID`, { field: 'to' });
    }
    if (this.state.state === 'stopped') throw stopped();
    const id = `${this.#idPrefix}-${this.#idSerial++}`;
    const stanza = signalStanza(id, peer, { type, data });
    await new Promise<void>((resolve, reject) => {
      const deadline = monotonicMs() + SIGNAL_MS;
      const bytes = stanza.toString().length;
      if (!this.#outbox.add({ id, to: peer, stanza, bytes, deadline, resolve, reject })) {
        this.#counters.signals_dropped++;
        return reject(new SystemError('XMPP_OUTBOX_FULL', 'too many signals wait for the hub'));
      }
      this.#armExpiry();
      this.#flush();
    });
  }

  /**
   * Asks the hub for its STUN and TURN services; an empty list if it knows none.
   * @throws SystemError XMPP_OFFLINE, XMPP_SESSION_LOST or XMPP_TIMEOUT; PeerError XMPP_DISCO if the hub answers with an error
   */
  async discoverIceServers(): Promise<IceServer[]> {
    if (this.state.state !== 'online') throw new SystemError('XMPP_OFFLINE', 'not signed in at the hub');
    const answer = await this.#ask('services', this.#domain, xml('services', { xmlns: NS.extdisco }));
    if (answer.attrs.type === 'result') return parseServices(answer);
    const condition = errorCondition(answer);
    if (NO_DISCO.has(condition)) return [];
    throw new PeerError('XMPP_DISCO', `the hub does not name its STUN and TURN services: ${condition}`);
  }

  #onFresh(): void {
    this.#counters.sessions++;
    const generation = this.#generation;
    this.#announce(generation).catch((error: unknown) => {
      if (this.#generation !== generation) return;
      this.#stream.abandon(
        error instanceof KithError
          ? error
          : new BugError('XMPP_ANNOUNCE', 'sign-in failed', { cause: error }),
      );
    });
  }

  async #announce(generation: number): Promise<void> {
    const answer = await this.#ask('roster', undefined, xml('query', { xmlns: NS.roster }));
    if (answer.attrs.type !== 'result') {
      throw new PeerError('XMPP_ROSTER', `the hub does not give us the roster: ${errorCondition(answer)}`);
    }
    this.#events.emit('session', { resumed: false });
    this.#events.emit('roster', parseRoster(answer));
    // A listener may have stopped the session.
    if (this.#generation !== generation) return;
    // RFC 6121 §2.2: the roster before the presence, so that each presence that comes finds its contact.
    this.#askBlockList(generation);
    this.#sendPresence();
    this.#stream.announced();
  }

  /** Not waited for: whoever is blocked gets nothing through the hub meanwhile, and a hub need not know XEP-0191. */
  #askBlockList(generation: number): void {
    this.#ask('block list', undefined, blockListRequest()).then(
      (answer) => {
        if (this.#generation !== generation || answer.attrs.type !== 'result') return;
        this.#events.emit('blocked', parseBlockList(answer));
      },
      () => {},
    );
  }

  #sendPresence(): void {
    const node = this.#node === undefined ? [] : [announcementElement(this.#node)];
    const sent = this.#stream.send(xml('presence', {}, xml('priority', {}, PRIORITY), ...node));
    if (sent) this.#announcedNode = this.#node;
  }

  #onForgotten(unsent: number): void {
    this.#generation++;
    const repeated = this.#outbox.requeue();
    this.#counters.signals_repeated += repeated;
    this.#counters.stanzas_lost += Math.max(0, unsent - repeated);
    this.#inbound.clear();
    this.#requests.rejectAll(
      new SystemError('XMPP_SESSION_LOST', 'the session was lost before the hub answered'),
    );
  }

  #ask(what: string, to: string | undefined, child: Element): Promise<Element> {
    return this.#requests.ask(what, (id) => this.#stream.send(xml('iq', { type: 'get', id, to }, child)));
  }

  #answer(stanza: Element): void {
    if (!this.#stream.send(stanza)) this.#counters.stanzas_lost++;
  }

  /** Sends waiting signals as far as there is room. */
  #flush(): void {
    for (;;) {
      const signal = this.#outbox.next(this.#stream.room);
      if (signal === undefined) return;
      this.#counters.signals_sent++;
      this.#stream.send(signal.stanza);
    }
  }

  /** All signals live equally long, so the timer of the oldest serves those that come after it. */
  #armExpiry(): void {
    if (this.#timers.has('expiry') || this.#outbox.size === 0) return;
    this.#timers.after('expiry', Math.max(0, this.#outbox.nextDeadline() - monotonicMs()), () => {
      for (const signal of this.#outbox.expire(monotonicMs())) {
        this.#counters.signals_expired++;
        const text = `${signal.to} did not answer the signal within ${SIGNAL_MS / 1000} s`;
        signal.reject(new SystemError('XMPP_SIGNAL_EXPIRED', text));
      }
      this.#armExpiry();
    });
  }

  #onStanza(stanza: Element): void {
    const type = stanza.attrs.type;
    if (stanza.is('presence')) {
      this.#onPresence(stanza);
      return;
    }
    if (!stanza.is('iq')) this.#counters.stanzas_ignored++;
    else if (type === 'get' || type === 'set') this.#onRequest(stanza, type);
    else if (type === 'result' || type === 'error') this.#onResult(stanza, type);
    else this.#counters.stanzas_ignored++;
  }

  #onPresence(stanza: Element): void {
    const change = parsePresence(stanza);
    // The hub tells us of ourselves as well (RFC 6121 §4.2.2).
    if (change === null) this.#counters.stanzas_ignored++;
    else if (change.from !== this.#fullJid) this.#events.emit('presence', change);
  }

  /** Every request is answered (RFC 6120 §8.2.3); whoever asks for what we do not know learns no more than that. */
  #onRequest(iq: Element, type: 'get' | 'set'): void {
    const [child, second] = iq.getChildElements();
    if (iq.attrs.id === undefined) {
      this.#counters.stanzas_ignored++;
    } else if (child === undefined || second !== undefined) {
      this.#answer(errorStanza(iq, 'bad-request', 'modify'));
    } else if (type === 'set' && child.is('query', NS.tincan)) {
      this.#inbound.take(iq, child);
    } else if (type === 'set' && child.is('query', NS.roster)) {
      this.#onPush(iq, child);
    } else if (type === 'set' && child.getNS() === NS.blocking) {
      this.#onBlockPush(iq, child);
    } else if (type === 'get' && child.is('ping', NS.ping)) {
      this.#answer(resultStanza(iq));
    } else {
      this.#answer(errorStanza(iq, 'service-unavailable'));
    }
  }

  /** RFC 6121 §2.1.6: only our own server may push, in the name of our own bare JID or in no name. */
  #isForged(iq: Element): boolean {
    const { from } = iq.attrs;
    if (from === undefined || normalJid(from) === this.#jid) return false;
    this.#counters.pushes_forged++;
    this.#answer(errorStanza(iq, 'service-unavailable'));
    return true;
  }

  #onBlockPush(iq: Element, child: Element): void {
    if (this.#isForged(iq)) return;
    const change = parseBlockPush(child);
    this.#answer(change === null ? errorStanza(iq, 'bad-request', 'modify') : resultStanza(iq));
    if (change !== null) this.#events.emit('blocked', change);
  }

  #onPush(iq: Element, query: Element): void {
    if (this.#isForged(iq)) return;
    const item = parsePush(query);
    if (item === null) {
      this.#answer(errorStanza(iq, 'bad-request', 'modify'));
      return;
    }
    this.#answer(resultStanza(iq));
    this.#events.emit('roster-push', item);
  }

  #onResult(iq: Element, type: 'result' | 'error'): void {
    const { id } = iq.attrs;
    if (id === undefined || id === PING_ID) return;
    const from = iq.attrs.from === undefined ? null : normalJid(iq.attrs.from);
    const signal = from === null ? undefined : this.#outbox.settle(id, from);
    if (signal !== undefined) {
      if (type === 'result') signal.resolve();
      else signal.reject(new SignalRefused(signal.to, errorCondition(iq)));
      return;
    }
    // RFC 6120 §8.1.2.1: the hub answers for the account with its bare JID, with no name, or for itself with the domain.
    const fromHub =
      iq.attrs.from === undefined || from === this.#jid || from === this.#domain || from === this.#fullJid;
    if (!fromHub || !this.#requests.settle(id, iq)) this.#counters.answers_stray++;
  }
}

function stopped(): SystemError {
  return new SystemError('XMPP_STOPPED', 'the XMPP session is stopped');
}
