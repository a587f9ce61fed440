import { ConfigError, PeerError, SystemError } from '@kith/base';
import {
  API_IS_REPLY,
  API_TYPE_CONTROL,
  type ApiCall,
  ApiCallError,
  type CallId,
  ENVELOPE_VERSION,
  type Endpoint,
  encodeObject,
  encodeReply,
  errorReply,
  isUid,
  MAX_API_PAYLOAD,
  MAX_SIGNAL_CHARS,
  methodOf,
  offlinePeer,
  PEER_MESSAGE_NAME,
  parseApiCall,
  RESERVED_MESSAGES,
  type Uid,
} from '@kith/protocol';
import { TokenBucket } from '../token-bucket.ts';
import type { HubState, RefuseCondition } from '../xmpp/index.ts';
import { Friends, uidOfFriend } from './friends.ts';
import { type JsonObject, readObject } from './json-object.ts';
import { type Account, accountOf, Registration, type Waiter } from './registration.ts';
import { isAnswer, StateAsks, type StateReceiver } from './state-asks.ts';

/** What the gateway does to the world. */
export interface GatewayEffects {
  /** Sends tincan what a caller says; what tincan answers comes back as that caller's. */
  toTincan(client: Endpoint, type: number, payload: Uint8Array): void;
  /** Sends from the API's port. */
  toClient(client: Endpoint, type: number, payload: Uint8Array): void;
  /** Whether datagrams can go to this address: on loopback, of a family that the machine has. */
  reaches(address: string): boolean;
  /** The port on 127.0.0.1 to which tincan shall send notifications. */
  readonly callbackPort: number;
  /** Leaves the session that is there and signs in with this account. @throws ConfigError when the account makes no sense. */
  signIn(account: Account): void;
  /** Rejects with a KithError when the friend did not take it. */
  sendSignal(jid: string, type: string, data: string): Promise<void>;
  /** Of the sockets and the session, to be told with ours. */
  counters(): Record<string, number>;
}

type Call<M extends ApiCall['m']> = Extract<ApiCall, { m: M }>;

/** A UID that nobody has: get_state of it gives local_state alone. */
const NOBODY = '0'.repeat(40);
/** What XMPP carries without any change on the way; controllers say nothing else to each other. */
const ASCII = /^[\t\n\x20-\x7e]*$/;
/** Messages per second from all friends, as many as links may bring. */
const SIGNALS_PER_SECOND = 200;

/**
 * Stands between callers and tincan, and does what IPOP's tincan did with XMPP. What has nothing to do with it is passed on in both
 * directions as it is. UIDs are those that the caller's form has: in IPOP's, names of its own choice. Pure; times in ms.
 */
export class Gateway {
  readonly #effects: GatewayEffects;
  readonly #friends = new Friends();
  readonly #asks = new StateAsks();
  readonly #registration = new Registration();
  readonly #signalRate = new TokenBucket(SIGNALS_PER_SECOND, SIGNALS_PER_SECOND);
  /** Where notifications go; the last set_cb_endpoint wins, as in tincan. */
  #callback: Endpoint | undefined;
  #now = 0;
  readonly #counters = {
    gateway_calls: 0,
    gateway_errors: 0,
    gateway_dropped_replies: 0,
    gateway_dropped_oversize: 0,
    gateway_signals_sent: 0,
    gateway_signals_received: 0,
    gateway_signals_refused: 0,
    gateway_asks_overrun: 0,
  };

  constructor(effects: GatewayEffects) {
    this.#effects = effects;
  }

  get counters(): Record<string, number> {
    return { ...this.#counters, ...this.#friends.counters, ...this.#effects.counters() };
  }

  /** A datagram of a caller's. */
  fromClient(client: Endpoint, type: number, payload: Uint8Array, now: number): void {
    this.#now = now;
    if (type !== API_TYPE_CONTROL) {
      this.#effects.toTincan(client, type, payload);
      return;
    }
    this.#counters.gateway_calls++;
    let call: ApiCall | undefined;
    try {
      call = parseApiCall(payload);
      if (!this.#take(client, call, payload)) this.#effects.toTincan(client, type, payload);
    } catch (error) {
      // tincan would say the same. It does not see what may hold a password, and be it in a call that is not right.
      this.#refuse(client, error, call === undefined ? {} : { id: call.id, m: methodOf(call) });
    }
  }

  /** What tincan says to a caller. */
  fromTincan(client: Endpoint, type: number, payload: Uint8Array, now: number): void {
    this.#now = now;
    if (type === API_TYPE_CONTROL && this.#asks.size > 0) {
      const message = readObject(payload);
      if (message !== undefined && this.#asks.take(message)) return;
    }
    this.#effects.toClient(client, type, payload);
  }

  /** A notification of tincan's. */
  notified(type: number, payload: Uint8Array, now: number): void {
    this.#now = now;
    if (this.#callback === undefined) return;
    const message =
      type === API_TYPE_CONTROL && this.#registration.account !== undefined ? readObject(payload) : undefined;
    if (message?.type === 'con_resp' && this.#sendCandidates(message)) return;
    this.#effects.toClient(this.#callback, type, payload);
  }

  /** The session's state changed. */
  hubState(state: Pick<HubState, 'state' | 'detail'>, now: number): void {
    this.#now = now;
    if (state.state !== 'online') this.#friends.hubLost(now);
    const { succeeded, failed, error, tell } = this.#registration.hubState(state);
    for (const waiter of succeeded) this.#acknowledge(waiter);
    for (const { client, id } of failed) this.#refuse(client, error, { id, m: 'register_svc' });
    const { report } = this.#registration;
    if (tell && report !== undefined && this.#callback !== undefined) {
      this.#send(this.#callback, { type: 'xmpp_state', ...report });
    }
  }

  /** A session is there, a new one or the old one resumed. */
  sessionBegins(isNew: boolean, now: number): void {
    this.#friends.hubBack(isNew, now);
  }

  /** Who is a friend changed. */
  friendsChanged(isFriend: (jid: string) => boolean): void {
    this.#friends.keep(isFriend);
  }

  /** Availability of a friend's full JID, or of another node of this account. */
  presence(from: string, available: boolean, now: number): void {
    this.#now = now;
    const uid = uidOfFriend(from);
    if (uid === undefined || uid === this.#registration.account?.uid) return;
    const before = this.#friends.jidOf(uid);
    const isNews = available
      ? this.#friends.heard(uid, from, now) && before !== from
      : this.#friends.left(uid, from, now);
    if (isNews) this.#tellPresence(uid);
  }

  /** A friend's node sent a message. Gives the condition with which it is refused, null when the callback endpoint was told. */
  signal(from: string, type: string, data: string, now: number): RefuseCondition | null {
    this.#now = now;
    const refusal = this.#whyRefused(from, type, data);
    if (refusal === null) this.#counters.gateway_signals_received++;
    else this.#counters.gateway_signals_refused++;
    return refusal;
  }

  /** To be called some times per second while `isWaiting`. */
  tick(now: number): void {
    this.#now = now;
    this.#asks.expire(now);
  }

  /** Whether something waits that may have to be given up. */
  get isWaiting(): boolean {
    return this.#asks.size > 0;
  }

  /** False: the call is tincan's. */
  #take(client: Endpoint, call: ApiCall, payload: Uint8Array): boolean {
    const isRegistered = this.#registration.account !== undefined;
    switch (call.m) {
      case 'register_svc':
        this.#register(client, call);
        return true;
      case 'set_cb_endpoint':
        return this.#setCallback(client, call, payload);
      case 'get_state':
        return this.#getState(client, call);
      case 'create_link':
        if (isRegistered) this.#routeCandidates(call.params.uid, call.params.overlay_id === 1);
        return false;
      case 'pass_through':
        return isRegistered && this.#sendMessage(client, call);
      default:
        return false;
    }
  }

  /** IPOP's order: set_local_ip names this node, and the name becomes the resource of its JID. */
  #register(client: Endpoint, call: Call<'register_svc'>): void {
    const at = { id: call.id, m: call.m };
    // What is missing is told before tincan is asked.
    accountOf(call.params, NOBODY);
    const isAsked = this.#ask(client, NOBODY, false, (answer) => {
      try {
        if (answer instanceof SystemError) throw answer;
        const { _uid: uid, tap } = isAnswer(answer) ? answer.local : {};
        if (typeof uid !== 'string' || !isUid(uid) || tap !== 'up') {
          throw new ConfigError('NOT_READY', 'set_local_ip must come before register_svc');
        }
        this.#signIn(accountOf(call.params, uid), { client, id: call.id });
      } catch (error) {
        this.#refuse(client, error, at);
      }
    });
    if (!isAsked) throw new SystemError('API_BUSY', 'too many calls are waiting');
  }

  #signIn(account: Account, waiter: Waiter): void {
    if (!this.#registration.isSame(account)) {
      this.#effects.signIn(account);
      const replaced = new SystemError('XMPP_STOPPED', 'another register_svc came');
      for (const { client, id } of this.#registration.replace(account)) {
        this.#refuse(client, replaced, { id, m: 'register_svc' });
      }
      this.#friends.clear();
    }
    const outcome = this.#registration.wait(waiter);
    if (outcome === true) this.#acknowledge(waiter);
    else if (outcome !== undefined)
      this.#refuse(waiter.client, outcome, { id: waiter.id, m: 'register_svc' });
  }

  /** tincan sends its notifications here, since some of them are for friends. */
  #setCallback(client: Endpoint, { params }: Call<'set_cb_endpoint'>, payload: Uint8Array): boolean {
    // As tincan reads it: "::" and, from a socket of IPv4 alone, 0.0.0.0 mean where the call came from.
    const address = params.ip === '::' || params.ip === '0.0.0.0' ? client.address : params.ip;
    // tincan says what is wrong with it.
    if (!this.#effects.reaches(address)) return false;
    this.#callback = { address, port: params.port, form: client.form };
    const call = { ...readObject(payload), ip: '127.0.0.1', port: this.#effects.callbackPort };
    this.#effects.toTincan(client, API_TYPE_CONTROL, Buffer.from(JSON.stringify(call)));
    return true;
  }

  #getState(client: Endpoint, { id, params }: Call<'get_state'>): boolean {
    return this.#ask(client, params.uid, params.stats, (answer) => {
      // A caller who gets no answer asks again.
      if (answer instanceof SystemError) return;
      if (!isAnswer(answer)) {
        this.#send(client, withId(answer, id));
        return;
      }
      const peers = answer.peers.map((peer) => this.#withPresence(peer));
      const told = new Set(peers.map(({ uid }) => uid));
      for (const uid of this.#friends.uids(this.#now)) {
        if (told.has(uid) || (params.uid !== '' && params.uid !== uid)) continue;
        peers.push(this.#withPresence({ ...offlinePeer(uid) }));
      }
      const counters = { ...countersOf(answer.local), ...this.counters };
      const local = { ...answer.local, counters, xmpp: this.#registration.report, peers: peers.length };
      for (const message of [local, ...peers]) this.#send(client, withId(message, id));
    });
  }

  /** As if the callback endpoint had asked for the state of this friend. */
  #tellPresence(uid: Uid): void {
    const to = this.#callback;
    if (to === undefined) return;
    this.#ask(to, uid, false, (answer) => {
      // Without tincan nobody knows whether there is a link; the next get_state tells.
      if (answer instanceof SystemError || !isAnswer(answer)) return;
      const [peer = { ...offlinePeer(uid) }] = answer.peers;
      this.#send(to, withId(this.#withPresence(peer), undefined));
    });
  }

  /** Asks tincan in the form of a caller, so that the answer has the caller's names. False: too many questions are under way. */
  #ask(client: Endpoint, uid: string, stats: boolean, receive: StateReceiver): boolean {
    const id = this.#asks.begin(this.#now, receive);
    if (id === undefined) {
      this.#counters.gateway_asks_overrun++;
      return false;
    }
    const call = { m: 'get_state', id, uid, stats };
    this.#effects.toTincan(client, API_TYPE_CONTROL, Buffer.from(JSON.stringify(call)));
    return true;
  }

  /** Where the con_resp of a link goes. @throws PeerError XMPP_NO_FRIEND. */
  #routeCandidates(uid: Uid, byXmpp: boolean): void {
    if (byXmpp && this.#friends.jidOf(uid) === undefined) {
      throw new PeerError('XMPP_NO_FRIEND', 'uid: no friend with this UID is present', { field: 'uid' });
    }
    this.#friends.sendByXmpp(uid, byXmpp);
  }

  /** False: it is for the callback endpoint. */
  #sendCandidates({ uid, data, complete }: JsonObject): boolean {
    if (typeof uid !== 'string' || typeof data !== 'string' || !this.#friends.goesByXmpp(uid)) return false;
    // IPOP's controllers know one con_resp of an attempt, the whole one.
    if (complete === false) return true;
    const jid = this.#friends.jidOf(uid);
    if (jid === undefined) {
      this.#candidatesLost(new PeerError('XMPP_NO_FRIEND', `uid: ${uid} is not present any more`));
    } else {
      this.#signalTo(jid, 'con_resp', data).catch((error: unknown) => this.#candidatesLost(error));
    }
    return true;
  }

  #candidatesLost(error: unknown): void {
    if (this.#callback !== undefined) this.#refuse(this.#callback, error, { m: 'con_resp' });
  }

  /** False: no friend is meant; the message goes over the link, if there is one. */
  #sendMessage(client: Endpoint, { id, params }: Call<'pass_through'>): boolean {
    const { uid, name, data, overlay_id } = params;
    const jid = overlay_id === 1 ? this.#friends.jidOf(uid) : undefined;
    if (jid === undefined) return false;
    if (RESERVED_MESSAGES.has(name)) {
      throw new PeerError('API_FIELD', `m: ${name} is what tincan itself says`, { field: 'm' });
    }
    if (!ASCII.test(data)) {
      throw new PeerError('API_FIELD', 'data: goes by XMPP, which takes ASCII alone', { field: 'data' });
    }
    this.#signalTo(jid, name, data).then(
      () => this.#acknowledge({ client, id }, name),
      (error: unknown) => this.#refuse(client, error, { id, m: name }),
    );
    return true;
  }

  #signalTo(jid: string, type: string, data: string): Promise<void> {
    this.#counters.gateway_signals_sent++;
    return this.#effects.sendSignal(jid, type, data);
  }

  #whyRefused(from: string, type: string, data: string): RefuseCondition | null {
    const uid = uidOfFriend(from);
    const to = this.#callback;
    if (uid === undefined || uid === this.#registration.account?.uid || to === undefined)
      return 'service-unavailable';
    const isProper = PEER_MESSAGE_NAME.test(type) && !RESERVED_MESSAGES.has(type);
    if (!isProper || data.length > MAX_SIGNAL_CHARS) return 'not-acceptable';
    if (!this.#signalRate.take(this.#now)) return 'resource-constraint';
    if (!this.#friends.heard(uid, from, this.#now)) return 'conflict';
    const message = encodeReply(to.form, { type: 'peer_message', uid, m: type, data });
    this.#effects.toClient(to, API_TYPE_CONTROL, message);
    return null;
  }

  #withPresence(peer: JsonObject): JsonObject {
    const absentFor = typeof peer.uid === 'string' ? this.#friends.absentFor(peer.uid, this.#now) : undefined;
    return absentFor === undefined ? peer : { ...peer, xmpp_time: absentFor };
  }

  /** IPOP's callers send no id and expect no acknowledgement. */
  #acknowledge({ client, id }: Waiter, m = 'register_svc'): void {
    if (id !== undefined) this.#send(client, { type: 'ok', id, m });
  }

  #refuse(client: Endpoint, error: unknown, at: { id?: CallId | undefined; m?: string }): void {
    // In IPOP's form nothing tells a message of some tincan's from a call: an answer would be answered, for ever.
    if (error instanceof ApiCallError && error.code === API_IS_REPLY && client.form !== ENVELOPE_VERSION) {
      this.#counters.gateway_dropped_replies++;
      return;
    }
    this.#counters.gateway_errors++;
    this.#send(client, errorReply(error, at));
  }

  #send(to: Endpoint, message: object): void {
    const payload = encodeObject(to.form, message);
    if (payload.length > MAX_API_PAYLOAD) this.#counters.gateway_dropped_oversize++;
    else this.#effects.toClient(to, API_TYPE_CONTROL, payload);
  }
}

/** The message with the caller's id in place of ours. */
function withId({ id: _, ...rest }: JsonObject, id: CallId | undefined): JsonObject {
  return id === undefined ? rest : { ...rest, id };
}

function countersOf({ counters }: JsonObject): object {
  return typeof counters === 'object' && counters !== null ? counters : {};
}
