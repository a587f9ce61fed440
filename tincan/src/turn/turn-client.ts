import {
  decodeChannelData,
  decodeTurn,
  encodeChannelData,
  isChannelData,
  type TurnAuth,
  type TurnResponse,
  turnKey,
} from '@kith/protocol';
import type { Endpoint } from '../endpoint.ts';
import { type Channel, TurnChannels } from './turn-channels.ts';
import { type Asked, type Transaction, TurnTransactions } from './turn-transactions.ts';

/** RFC 8656 §3.2: what servers grant when nothing is asked, s. */
const LIFETIME_S = 600;

/** An allocation is renewed when half its life is over, and not more often than this however little a server grants. */
const LEAST_REFRESH_MS = 30_000;

/** After a failure the next try comes later and later; credentials may be new, a server may be back. */
const RETRY_MS = [1_000, 2_000, 5_000, 15_000, 60_000];

/** RFC 8656 §18 and RFC 8489 §14.8: errors that this machine acts upon. */
const UNAUTHENTICATED = 401;
const FORBIDDEN = 403;
const ALLOCATION_MISMATCH = 437;
const STALE_NONCE = 438;
const WRONG_CREDENTIALS = 441;

const WORDS: ReadonlyMap<number, string> = new Map([
  [UNAUTHENTICATED, 'the credentials are refused'],
  [FORBIDDEN, 'the server forbids it'],
  [ALLOCATION_MISMATCH, 'the server knows another allocation for this socket'],
  [WRONG_CREDENTIALS, 'the allocation belongs to other credentials'],
  [442, 'the server does not relay UDP'],
  [486, 'the quota of allocations is used up'],
  [508, 'the server has no room for another allocation'],
]);

export interface TurnCredentials {
  username: string;
  password: string;
}

export interface TurnActions {
  send(datagram: Uint8Array): void;
  /** Unpredictable bytes. */
  randomBytes(length: number): Uint8Array;
  /** The relayed address is new, or gone. */
  relayedChanged(): void;
  /** Datagrams to this peer can be sent from now on. */
  channelBound(peer: Endpoint): void;
}

type State = 'idle' | 'allocating' | 'allocated' | 'failed';

/**
 * One TURN server, asked for one relayed UDP address of the socket that carries data, and for channels to peers behind it (RFC
 * 8656). A channel's binding brings the permission for the peer with it (§12), so that no others are asked for. Pure but for its
 * random numbers; times in ms.
 */
export class TurnClient {
  readonly #actions: TurnActions;
  readonly #transactions: TurnTransactions;
  readonly #channels = new TurnChannels();
  #credentials: TurnCredentials;
  /** Credentials of the allocation at hand, as the server wants them. */
  #auth: TurnAuth | undefined;
  #state: State = 'idle';
  #relayed: Endpoint | null = null;
  #why: string | null = null;
  #failures = 0;
  /** When to renew, or to try again. */
  #at = Number.POSITIVE_INFINITY;
  #clearedOld = false;

  constructor(credentials: TurnCredentials, actions: TurnActions) {
    this.#credentials = credentials;
    this.#actions = actions;
    this.#transactions = new TurnTransactions((request) => actions.send(request), actions.randomBytes);
  }

  /** Where peers reach us by way of the server. */
  get relayed(): Endpoint | null {
    return this.#relayed;
  }

  get state(): State {
    return this.#state;
  }

  /** Why there is no relayed address, in words. */
  get why(): string | null {
    return this.#why;
  }

  get channelsRefused(): number {
    return this.#channels.refused;
  }

  /**
   * For the next allocation; the one at hand lives on with its own (RFC 8656 §7.2 binds it to them). Whether it still does is asked at once:
   * a hub that was started anew gives others, and its server has forgotten all allocations.
   */
  setCredentials(credentials: TurnCredentials, now: number): void {
    const { username, password } = this.#credentials;
    if (username === credentials.username && password === credentials.password) return;
    this.#credentials = credentials;
    if (this.#state === 'failed' || this.#state === 'allocated') this.check(now);
  }

  /** Asks for an allocation unless there is one. */
  start(now: number): void {
    if (this.#state === 'idle') this.#allocate(now);
  }

  /** Gives the allocation back. */
  stop(now: number): void {
    if (this.#state === 'idle') return;
    if (this.#state === 'allocated') this.#ask({ method: 'refresh', lifetime: 0 }, now);
    // The request leaves once; without its answer the allocation ends by itself.
    this.#forget();
    this.#state = 'idle';
    this.#at = Number.POSITIVE_INFINITY;
    this.#failures = 0;
    this.#why = null;
  }

  /** Something may have happened to the way to the server: see at once whether the allocation is still ours. */
  check(now: number): void {
    if (this.#state !== 'idle') this.#at = Math.min(this.#at, now);
  }

  /** The way to the server is gone, and the allocation with it: asks for another at once. */
  lost(now: number): void {
    if (this.#state === 'idle') return;
    this.#forget();
    this.#allocate(now);
  }

  /** Wraps a datagram to a peer; undefined while there is no channel, which is asked for. */
  wrap(peer: Endpoint, datagram: Uint8Array, now: number): Uint8Array | undefined {
    const number = this.channelTo(peer, now);
    return number === undefined ? undefined : encodeChannelData(number, datagram);
  }

  /** The channel that leads to a peer; undefined while there is none, which is asked for with the next tick. */
  channelTo(peer: Endpoint, now: number): number | undefined {
    if (this.#state !== 'allocated') return undefined;
    const channel = this.#channels.use(peer, now);
    return channel?.isBound === true ? channel.number : undefined;
  }

  /** Whom a channel leads to. */
  peerOf(channel: number): Endpoint | undefined {
    return this.#channels.numbered(channel)?.peer;
  }

  /** A datagram from the server. What a peer sent by way of it is given back; undefined for what was for us; false for neither. */
  receive(data: Uint8Array, now: number): { peer: Endpoint; data: Uint8Array } | undefined | false {
    if (isChannelData(data)) {
      const message = decodeChannelData(data);
      const peer = message === undefined ? undefined : this.peerOf(message.channel);
      return message === undefined || peer === undefined ? false : { peer, data: message.data };
    }
    const message = decodeTurn(data);
    if (message === undefined) return false;
    if (message.kind === 'data') {
      return this.#state === 'allocated' ? { peer: message.peer, data: message.data } : false;
    }
    return this.#answered(message, now) ? undefined : false;
  }

  /** Does what is due. Returns when it wants to be called again. */
  tick(now: number): number {
    for (const transaction of this.#transactions.tick(now)) this.#unanswered(transaction, now);
    if (now >= this.#at) {
      this.#at = Number.POSITIVE_INFINITY;
      if (this.#state === 'allocated') this.#ask({ method: 'refresh', lifetime: LIFETIME_S }, now);
      else if (this.#state === 'failed') this.#allocate(now);
    }
    if (this.#state === 'allocated') {
      for (const channel of this.#channels.due(now)) {
        const { number, peer } = channel;
        channel.isAsked = this.#ask({ method: 'channelBind', channel: number, peer }, now);
        if (!channel.isAsked) break;
      }
    }
    const channelsDue = this.#state === 'allocated' ? this.#channels.dueAt(now) : Number.POSITIVE_INFINITY;
    // A channel that found no room among the transactions waits for one of them.
    return Math.min(
      this.#at,
      this.#transactions.dueAt,
      channelsDue > now ? channelsDue : this.#transactions.dueAt,
    );
  }

  #allocate(now: number): void {
    this.#state = 'allocating';
    this.#auth = undefined;
    this.#clearedOld = false;
    this.#at = Number.POSITIVE_INFINITY;
    this.#ask({ method: 'allocate' }, now);
  }

  #ask(asked: Asked, now: number, after?: Transaction): boolean {
    return this.#transactions.ask(asked, this.#auth, now, after);
  }

  /** False for an answer to nothing that was asked, or one that somebody else made. */
  #answered(response: TurnResponse, now: number): boolean {
    const transaction = this.#transactions.get(response.transaction);
    if (transaction === undefined || transaction.asked.method !== response.method) return false;
    const isProved = transaction.key !== undefined && response.isProvedBy(transaction.key);
    if (response.kind === 'success') {
      if (!isProved) return false;
      this.#transactions.done(transaction.id);
      this.#succeeded(transaction, response, now);
      return true;
    }
    const isChallenge = response.code === UNAUTHENTICATED || response.code === STALE_NONCE;
    // Taken without proof, which servers leave out of errors: who knows the transaction stands on the way and could as well be silent.
    this.#transactions.done(transaction.id);
    if (isChallenge && this.#challenged(transaction, response, now)) return true;
    this.#refused(transaction, response.code, now);
    return true;
  }

  /** Asks again as the server wants it; false when it said nothing new. */
  #challenged(transaction: Transaction, { code, realm, nonce }: TurnResponse, now: number): boolean {
    const before = this.#auth;
    if (nonce === null || (realm ?? before?.realm) === undefined) return false;
    if (code === UNAUTHENTICATED && transaction.key !== undefined && nonce === before?.nonce) return false;
    const username = before?.username ?? this.#credentials.username;
    const named = realm ?? before?.realm ?? '';
    const key = before?.realm === named ? before.key : turnKey(username, named, this.#credentials.password);
    this.#auth = { username, realm: named, nonce, key };
    return this.#ask(transaction.asked, now, transaction);
  }

  #succeeded({ asked }: Transaction, { relayed, lifetime }: TurnResponse, now: number): void {
    if (asked.method === 'channelBind') {
      const channel = this.#channelOf(asked);
      if (channel === undefined) return;
      const isNew = !channel.isBound;
      this.#channels.bound(channel, now);
      if (isNew) this.#actions.channelBound(channel.peer);
    } else if (asked.method === 'refresh' && asked.lifetime === 0) {
      // What was left of an older allocation is gone.
      if (this.#state === 'allocating') this.#ask({ method: 'allocate' }, now);
    } else {
      this.#at = now + Math.max(((lifetime ?? LIFETIME_S) * 1000) / 2, LEAST_REFRESH_MS);
      if (asked.method === 'refresh' || this.#state !== 'allocating') return;
      if (relayed === null) {
        this.#fail('the server names no relayed address', now);
        return;
      }
      this.#state = 'allocated';
      this.#relayed = relayed;
      this.#failures = 0;
      this.#why = null;
      this.#actions.relayedChanged();
    }
  }

  #refused({ asked }: Transaction, code: number, now: number): void {
    const isLost = code === ALLOCATION_MISMATCH || code === WRONG_CREDENTIALS;
    if (asked.method === 'channelBind' && !isLost) {
      const channel = this.#channelOf(asked);
      // Any refusal but these two may pass: the machine waits as long all the same, since a working peer is found otherwise.
      if (channel !== undefined) this.#channels.refuse(channel, now);
    } else if (asked.method === 'allocate' && isLost && !this.#clearedOld) {
      // Of an earlier life of this socket: RFC 8656 §7.3 says to wait or to use another port; giving it back is quicker.
      this.#clearedOld = true;
      this.#ask({ method: 'refresh', lifetime: 0 }, now);
    } else if (this.#state === 'allocated' && (isLost || code === UNAUTHENTICATED)) {
      // A server that was started anew knows neither the allocation nor, where their secret was its own, the credentials it was made with.
      this.#forget();
      this.#allocate(now);
    } else if (asked.method === 'refresh' && asked.lifetime === 0) {
      if (this.#state === 'allocating') this.#ask({ method: 'allocate' }, now);
    } else {
      this.#fail(WORDS.get(code) ?? `error ${code}`, now);
    }
  }

  #unanswered({ asked }: Transaction, now: number): void {
    if (asked.method === 'channelBind') {
      const channel = this.#channelOf(asked);
      if (channel !== undefined) channel.isAsked = false;
      // The server may be gone; the binding itself is asked for again by who uses it.
      if (channel !== undefined) channel.at = now;
      this.check(now);
    } else {
      this.#fail('the server does not answer', now);
    }
  }

  #channelOf({ channel }: Asked): Channel | undefined {
    return channel === undefined ? undefined : this.#channels.numbered(channel);
  }

  #fail(why: string, now: number): void {
    this.#forget();
    this.#state = 'failed';
    this.#why = why;
    this.#at = now + (RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 0);
    this.#failures++;
    // Somebody may wait for this one before the next server is asked.
    this.#actions.relayedChanged();
  }

  #forget(): void {
    this.#transactions.clear();
    this.#channels.clear();
    if (this.#relayed === null) return;
    this.#relayed = null;
    this.#actions.relayedChanged();
  }
}
