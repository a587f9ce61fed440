import { backoffMs } from '@kith/base';
import {
  decideSecurity,
  MAX_ATTEMPT,
  parseCandidates,
  type SecurityTerms,
  type Signal,
  type SignalType,
  type Uid,
} from '@kith/protocol';
import type { OnlineLink, PeerAction, PeerState, RemoteEnd } from './peer-state.ts';
import {
  ATTEMPT_TIMEOUT_MS,
  DESCRIPTION_RETRY_MS,
  RESTING,
  RETRY,
  STABLE_AFTER_MS,
  WANTED_MS,
} from './peer-timing.ts';

/**
 * The life of the link to one peer node, as the controller sees it. Pure: time comes in, actions go out.
 *
 * There is no offerer. Both ends number their attempts; the higher number wins on both. An end whose attempt is not yet bound to a
 * session of the peer follows a higher number without losing anything; one that is bound starts over under the new number. So two
 * simultaneous starts, a restart of either end and a loss of either's memory all end in one common attempt.
 *
 * A link that is online stays while a higher attempt is made: because it went silent, or because the peer wants so. tincan puts the
 * new one in its place when that is online; when it fails, the old one goes on.
 */
export class PeerMachine {
  readonly uid: Uid;
  readonly #mine: SecurityTerms;
  readonly #random: () => number;
  readonly #onDemand: boolean;
  /** Until when this end wants a link; infinite: always. It accepts the peer's wish in any case. */
  #wantedUntil: number;
  /** `online` only while no attempt is under way beside the link. */
  #state: PeerState = { is: 'idle' };
  #online: OnlineLink | undefined;
  /** The online link is silent. */
  #isSuspect = false;
  /** When a silent link may be made anew again. */
  #renewAt = Number.NEGATIVE_INFINITY;
  #attempt = 0;
  #failures = 0;
  /** The peer's controller is reachable through the hub. */
  #present = false;
  /** Attempt number under which tincan's present link object was made; descriptions of earlier objects are stale. */
  #bornAt = 0;
  #cas: string | undefined;
  #askedAt = 0;
  /** ICE user fragment of the peer's session that the attempt is bound to; null: bound, but by an earlier controller. */
  #boundTo: string | null | undefined;
  #why = '';
  #lastFailure: string | null = null;

  /** @param onDemand whether links wait for packets; otherwise they are made as soon as the node is there */
  constructor(uid: Uid, mine: SecurityTerms, random: () => number = Math.random, onDemand = false) {
    this.uid = uid;
    this.#onDemand = onDemand;
    this.#wantedUntil = onDemand ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    this.#mine = mine;
    this.#random = random;
  }

  get state(): PeerState {
    return this.#online === undefined ? this.#state : { is: 'online', since: this.#online.since };
  }

  get attempt(): number {
    return this.#attempt;
  }

  /** Whether the peer has answered the attempt that is under way, or is online. */
  get isAnswered(): boolean {
    return this.#boundTo !== undefined;
  }

  get isPresent(): boolean {
    return this.#present;
  }

  /** Whether a link of this attempt is what the machine counts on. */
  knows(attempt: number): boolean {
    return attempt === (this.#online?.attempt ?? this.#attempt);
  }

  /** Why the link has the security that it has, in words. */
  get why(): string {
    return this.#why;
  }

  /** Why the last attempt failed; null when none did since the link was last online. */
  get lastFailure(): string | null {
    return this.#lastFailure;
  }

  /** A controller restarted beside a running tincan: this link is there already. Its cut-off beginnings are not worth adopting. */
  adopt(attempt: number, online: boolean, now: number): PeerAction[] {
    this.#attempt = Math.max(this.#attempt, attempt);
    if (!online) return [this.#trim('begun by an earlier controller')];
    this.#goOnWith({ attempt, since: now, boundTo: null });
    return [];
  }

  /**
   * The node's presence came.
   * @param room whether there is room for a link that no packet asks for
   */
  present(now: number, room = true): PeerAction[] {
    const isNews = !this.#present;
    this.#present = true;
    if (isNews && !this.#onDemand) {
      this.#wantedUntil = room ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    }
    if (isNews && this.#isSuspect && this.#state.is === 'online') return this.#start(now);
    if (!this.#isWanted(now)) return [];
    if (this.#state.is === 'idle') return this.#start(now);
    // Fresh presence after absence is a better time to try than a clock.
    if (isNews && (this.#state.is === 'waiting' || this.#state.is === 'refused')) return this.#start(now);
    return [];
  }

  /** A packet for the node waits for a link. */
  want(now: number): PeerAction[] {
    this.#wantedUntil = Math.max(this.#wantedUntil, now + WANTED_MS);
    return this.#present && this.#state.is === 'idle' ? this.#start(now) : [];
  }

  /** Ends an online link that is not used, until a packet or the peer wants it again. */
  rest(reason: string): PeerAction[] {
    if (this.#online === undefined) return [];
    this.#fallAsleep();
    return [this.#trim(`${RESTING}${reason}`)];
  }

  /** The node's presence went, or our session did. A running link is not touched: its life is measured, not announced. */
  absent(): PeerAction[] {
    this.#present = false;
    const state = this.#state.is;
    if (state === 'online' || (state === 'connecting' && this.#boundTo !== undefined)) return [];
    if (this.#online !== undefined) return this.#dropAttempt('the peer is not there', this.#online);
    this.#state = { is: 'idle' };
    return state === 'connecting' ? [this.#trim('the peer is not there')] : [];
  }

  /** The online link went silent: the next attempt begins while it may still come back. */
  suspect(attempt: number, now: number): PeerAction[] {
    if (this.#online?.attempt !== attempt) return [];
    this.#isSuspect = true;
    return this.#renewIfDue(now);
  }

  /**
   * The link is heard again. An attempt that the peer has not answered is dropped; one that it has goes on, because both ends have a
   * part in it and the better link comes of it.
   */
  heardAgain(attempt: number): PeerAction[] {
    if (this.#online?.attempt !== attempt) return [];
    this.#isSuspect = false;
    const isUnanswered = this.#state.is === 'connecting' && this.#boundTo === undefined;
    return isUnanswered ? this.#dropAttempt('the link is heard again', this.#online) : [];
  }

  /** This machine's network changed: what was begun before leads nowhere, and what failed before may do now. */
  networkChanged(now: number): PeerAction[] {
    this.#renewAt = Number.NEGATIVE_INFINITY;
    if (!this.#present || !(this.#online !== undefined || this.#isWanted(now))) return [];
    return this.#state.is === 'connecting' || this.#state.is === 'waiting' ? this.#start(now) : [];
  }

  /** Local candidates of the link are known (tincan's con_resp notification). */
  described(attempt: number, cas: string): PeerAction[] {
    if (!this.#isLinked() || this.#isDropped()) return [];
    if (attempt < this.#bornAt || attempt > this.#attempt || cas === '' || cas === this.#cas) return [];
    const first = this.#cas === undefined;
    this.#cas = cas;
    return [this.#description(first && this.#boundTo === undefined ? 'con_req' : 'con_resp')];
  }

  /** A con_req or con_resp of the peer, already checked to be this node's. Returns undefined when the link is refused. */
  signal(type: SignalType, signal: Signal, now: number): PeerAction[] | undefined {
    const decision = decideSecurity(this.#mine, signal.security);
    if (decision.security === 'refused') {
      const trim = this.#isLinked() ? [this.#trim(decision.why)] : [];
      this.#refuse(decision.why);
      // Nothing but the refusal goes to the peer; its own controller comes to the same result.
      return trim.length > 0 ? trim : undefined;
    }
    const remote: RemoteEnd = {
      fpr: signal.fpr,
      cas: signal.cas,
      encrypted: decision.security === 'encrypted',
      terms: signal.security,
    };
    const ufrag = parseCandidates(signal.cas)[0]?.ufrag;
    if (ufrag === undefined) return [];
    this.#why = decision.why;
    if (!this.#isLinked())
      return type === 'con_req' ? this.#startFrom(signal.attempt, remote, ufrag, now) : [];
    if (signal.attempt > this.#attempt) return this.#follow(signal.attempt, remote, ufrag, now);
    if (signal.attempt < this.#attempt) return this.#lag(type, ufrag, now);
    // The peer answers what it was asked before the old link came back, or asks for what was dropped here.
    if (this.#isDropped()) return type === 'con_resp' ? [] : this.#start(now);
    if (this.#boundTo === undefined) return this.#bind(type, remote, ufrag);
    if (this.#boundTo === null || this.#boundTo === ufrag) {
      this.#boundTo = ufrag;
      const add = this.#createLink(remote);
      // A repeated con_req means that the peer has nothing of ours.
      return type === 'con_req' && this.#cas !== undefined ? [add, this.#description('con_resp')] : [add];
    }
    // The same number, another session: the peer has lost its memory.
    return this.#start(now);
  }

  /** tincan says that the attempt is bound to another session of the peer than the one last signalled. */
  taken(attempt: number, now: number): PeerAction[] {
    return attempt === this.#attempt && this.#isLinked() ? this.#start(now) : [];
  }

  online(attempt: number, now: number): void {
    if (attempt !== this.#attempt || this.#state.is !== 'connecting') return;
    this.#goOnWith({ attempt, since: now, boundTo: this.#boundTo ?? null });
    this.#isSuspect = false;
    this.#lastFailure = null;
  }

  offline(attempt: number, reason: string, now: number): PeerAction[] {
    const old = this.#online;
    const isUnderWay = this.#state.is === 'connecting';
    const isAttempt = isUnderWay && attempt === this.#attempt;
    if (!isAttempt && old?.attempt !== attempt) return [];
    if (reason.includes(RESTING)) {
      this.#fallAsleep();
      return isUnderWay && old !== undefined ? [this.#trim(reason)] : [];
    }
    if (isAttempt) return this.#fail(reason, now, []);
    this.#online = undefined;
    // Its successor goes on alone.
    if (isUnderWay) return [];
    const wasStable = old !== undefined && now - old.since >= STABLE_AFTER_MS;
    if (wasStable) this.#failures = 0;
    if (wasStable && this.#present && this.#isWanted(now)) return this.#start(now);
    return this.#fail(reason, now, []);
  }

  /** A signal of the given attempt could not be delivered. */
  undelivered(attempt: number, reason: string, now: number): PeerAction[] {
    if (attempt !== this.#attempt || this.#state.is !== 'connecting') return [];
    // When bound, the link may come up without it.
    if (this.#boundTo !== undefined) return [];
    return this.#fail(reason, now, [this.#trimAttempt(reason)]);
  }

  /** The peer answered that it will not have this link. It is asked again when its presence comes anew. */
  refusedByPeer(attempt: number, reason: string): PeerAction[] {
    if (attempt !== this.#attempt || this.#state.is !== 'connecting') return [];
    this.#refuse(reason);
    return [this.#trim(reason)];
  }

  /** tincan was restarted and knows no link any more. The next attempt is due at once, and takes its turn among those of other nodes. */
  tincanRestarted(now: number): void {
    if (!this.#isLinked()) return;
    this.#online = undefined;
    const isWanted = this.#present && this.#isWanted(now);
    this.#state = isWanted
      ? { is: 'waiting', until: now, reason: 'tincan was started anew' }
      : { is: 'idle' };
  }

  tick(now: number): PeerAction[] {
    const state = this.#state;
    if (state.is === 'waiting' && now >= state.until) {
      if (this.#isWanted(now)) return this.#start(now);
      this.#state = { is: 'idle' };
    }
    if (state.is === 'online') return this.#renewIfDue(now);
    if (state.is !== 'connecting') return [];
    if (now - state.since >= ATTEMPT_TIMEOUT_MS) {
      const reason =
        this.#boundTo === undefined
          ? 'the peer did not answer'
          : 'no path to the peer was found within 15 s (is UDP blocked, and is there a TURN server?)';
      return this.#fail(reason, now, [this.#trimAttempt(reason)]);
    }
    if (this.#cas === undefined && now - this.#askedAt >= DESCRIPTION_RETRY_MS) {
      this.#askedAt = now;
      return [this.#createLink(undefined)];
    }
    return [];
  }

  /** When `tick` has something to do next; Infinity: never. */
  nextDeadline(): number {
    const state = this.#state;
    if (state.is === 'waiting') return state.until;
    if (state.is === 'online' && this.#isSuspect && this.#present) return this.#renewAt;
    if (state.is !== 'connecting') return Number.POSITIVE_INFINITY;
    const timeout = state.since + ATTEMPT_TIMEOUT_MS;
    return this.#cas === undefined ? Math.min(timeout, this.#askedAt + DESCRIPTION_RETRY_MS) : timeout;
  }

  /** The member was removed: whatever there is ends now. */
  revoke(reason: string): PeerAction[] {
    const actions = this.#isLinked() ? [this.#trim(reason)] : [];
    this.#state = { is: 'idle' };
    this.#online = undefined;
    this.#present = false;
    return actions;
  }

  #isWanted(now: number): boolean {
    return now < this.#wantedUntil;
  }

  #fallAsleep(): void {
    this.#state = { is: 'idle' };
    this.#online = undefined;
    this.#failures = 0;
    this.#wantedUntil = Number.NEGATIVE_INFINITY;
  }

  #refuse(reason: string): void {
    this.#state = { is: 'refused', reason };
    this.#online = undefined;
  }

  #goOnWith(link: OnlineLink): void {
    this.#online = link;
    this.#bornAt = link.attempt;
    this.#boundTo = link.boundTo;
    this.#state = { is: 'online', since: link.since };
  }

  /** The next attempt came to nothing, and the link before it is still there. */
  #dropAttempt(reason: string, old: OnlineLink): PeerAction[] {
    const trim = this.#trimAttempt(reason);
    this.#goOnWith(old);
    return [trim];
  }

  /** The highest number is that of an attempt that was dropped; the link has a lower one. */
  #isDropped(): boolean {
    return this.#state.is === 'online' && this.#online?.attempt !== this.#attempt;
  }

  #renewIfDue(now: number): PeerAction[] {
    if (!this.#isSuspect || this.#state.is !== 'online' || !this.#present || now < this.#renewAt) return [];
    return this.#start(now);
  }

  #isLinked(): boolean {
    return this.#state.is === 'connecting' || this.#state.is === 'online';
  }

  /** A fresh attempt, not bound to any session of the peer. */
  #start(now: number): PeerAction[] {
    if (this.#attempt >= MAX_ATTEMPT) {
      const reason = 'the peer used up all attempt numbers';
      const trim = this.#isLinked() ? [this.#trim(reason)] : [];
      this.#refuse(reason);
      return trim;
    }
    this.#begin(this.#attempt + 1, now);
    return [this.#createLink(undefined)];
  }

  #begin(attempt: number, now: number): void {
    this.#attempt = attempt;
    this.#bornAt = attempt;
    this.#boundTo = undefined;
    this.#cas = undefined;
    this.#askedAt = now;
    this.#state = { is: 'connecting', since: now };
  }

  /** The peer asks while there is no link: take part in its attempt, unless we have counted further already. */
  #startFrom(attempt: number, remote: RemoteEnd, ufrag: string, now: number): PeerAction[] {
    if (attempt <= this.#attempt) return this.#start(now);
    this.#begin(attempt, now);
    this.#boundTo = ufrag;
    return [this.#createLink(remote)];
  }

  /** The peer counts higher. */
  #follow(attempt: number, remote: RemoteEnd, ufrag: string, now: number): PeerAction[] {
    if (this.#boundTo !== undefined) {
      this.#begin(attempt, now);
      this.#boundTo = ufrag;
      return [this.#createLink(remote)];
    }
    this.#attempt = attempt;
    return this.#bind('con_req', remote, ufrag);
  }

  /** The peer counts lower: either our messages crossed, or it was restarted. */
  #lag(type: SignalType, ufrag: string, now: number): PeerAction[] {
    if (type === 'con_resp' || ufrag === this.#boundTo) return [];
    if (this.#boundTo !== undefined) return this.#start(now);
    return this.#cas === undefined ? [] : [this.#description('con_resp')];
  }

  #bind(type: SignalType, remote: RemoteEnd, ufrag: string): PeerAction[] {
    this.#boundTo = ufrag;
    const bind = this.#createLink(remote);
    return type === 'con_req' && this.#cas !== undefined ? [bind, this.#description('con_resp')] : [bind];
  }

  #fail(reason: string, now: number, actions: PeerAction[]): PeerAction[] {
    this.#failures++;
    this.#lastFailure = reason;
    if (this.#online !== undefined) {
      this.#renewAt = now + backoffMs(RETRY, this.#failures, this.#random);
      this.#goOnWith(this.#online);
      return actions;
    }
    this.#state = this.#present
      ? { is: 'waiting', until: now + backoffMs(RETRY, this.#failures, this.#random), reason }
      : { is: 'idle' };
    return actions;
  }

  #createLink(remote: RemoteEnd | undefined): PeerAction {
    return { do: 'create-link', uid: this.uid, attempt: this.#attempt, remote };
  }

  #trim(reason: string): PeerAction {
    return { do: 'trim-link', uid: this.uid, reason, attempt: undefined };
  }

  /** Ends the attempt that is under way, and not the link beside which it was begun. */
  #trimAttempt(reason: string): PeerAction {
    const attempt = this.#online === undefined ? undefined : this.#attempt;
    return { do: 'trim-link', uid: this.uid, reason, attempt };
  }

  #description(type: SignalType): PeerAction {
    return { do: 'send', uid: this.uid, type, attempt: this.#attempt, cas: this.#cas ?? '' };
  }
}
