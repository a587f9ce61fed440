import { calmMoment, idleMoment } from '@kith/base';
import { type DirectCandidate, MIN_PROBE_BYTES } from '@kith/protocol';
import type { Address, RelayServer } from './direct-port.ts';
import { type Flight, Flights, type Purpose } from './flights.ts';
import type { Path, Source } from './path.ts';
import { isBetter, isCheaper } from './path-choice.ts';
import { PathSet, type PathSetOptions } from './path-set.ts';
import { PathWatch } from './path-watch.ts';

/** How often a path is probed that is not in use. */
const REPEAT_MS = 5_000;

/**
 * The same while the link is idle and has a path. A NAT may forget the way meanwhile, which costs nothing: when the active path goes silent
 * both ends ask by all of them.
 */
const IDLE_REPEAT_MS = 60_000;

/**
 * While the link is idle and has none, a path that does not answer is asked after twice the time each time, this at most: within it NATs keep
 * the ways that both ends' probes open for each other.
 */
const IDLE_LOST_REPEAT_MS = 20_000;

/** The same of one with a relay, whose server forgets who is not sent to. */
const IDLE_RELAYED_REPEAT_MS = 20_000;

/** The same of a path without a relay while one with a relay carries: somebody else's line is to be left soon. */
const IDLE_DIRECT_REPEAT_MS = 10_000;

/** Part of the time between two slow probes that is drawn, so that probes of many paths spread. */
const REPEAT_JITTER = 0.4;

/** Answers in a row that a path needs before it carries data. */
const LEAST_ANSWERS = 2;

/** Between the first and the second of them, so that a moment's luck does not give both. */
const CONFIRM_MS = 50;

/** An answer older than this does not speak for a path: two probes of the slow schedule were due since. */
const FRESH_MS = 12_000;

/** A known address that has not answered for longer than the slowest schedule and speaks again is probed densely. */
const COLD_MS = 75_000;

/** A tick that comes so much later than asked means that our process stood still; silence of that time is not the path's. */
const STALL_MS = 400;

/** Why a path that is in use is told anew. */
const IS_PEERS_RELAY = 'the peer calls it its relay';

/** Errors of a send that say that there is no way to the address now. */
const NO_ROUTE = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL']);

export interface SelectedPath extends Address {
  /** Largest datagram of ours that the path is known to carry. */
  datagramBytes: number;
  /** A TURN server, ours (`via`) or the peer's, is between. */
  isRelayed: boolean;
}

export interface PathFinderActions {
  /** Send a probe of so many bytes of UDP payload. */
  probe(to: Address, id: number, bytes: number): void;
  /** Data goes there from now on; null: there is no path. */
  select(path: SelectedPath | null, why: string): void;
}

export interface PathFinderOptions extends PathSetOptions {
  /** 0 ≤ x < 1 */
  random(): number;
  /** Of the two ends, this is the one that asks while nothing flows. */
  isFirst: boolean;
  /** When the link's control channel last heard the peer, of the same clock; -Infinity: never. */
  channelHeardAt(): number;
  /** Whether a relayed path of this round trip, ms, is worth leaving the data channel for. */
  isRelayWorth(rttMs: number): boolean;
}

/**
 * Finds the best of the peer's addresses that answers, keeps it under watch, and leaves it when it goes silent. Pure: times in ms
 * on one clock that never jumps back.
 */
export class PathFinder {
  readonly #options: PathFinderOptions;
  readonly #actions: PathFinderActions;
  readonly #paths: PathSet;
  readonly #flights: Flights;
  #active: Path | undefined;
  #candidates: readonly DirectCandidate[] = [];
  #relays: readonly RelayServer[] = [];
  readonly #watch: PathWatch;
  /** When the last tick asked for the next. */
  #dueAt = Number.POSITIVE_INFINITY;

  constructor(options: PathFinderOptions, actions: PathFinderActions) {
    this.#options = options;
    this.#actions = actions;
    this.#paths = new PathSet(options);
    this.#watch = new PathWatch(options.isFirst);
    this.#flights = new Flights(Math.floor(options.random() * 0x1_0000_0000));
  }

  /** The path that carries data. */
  get active(): (SelectedPath & { rttMs: number | null }) | null {
    if (this.#active === undefined) return null;
    return { ...selected(this.#active), rttMs: this.#active.srtt ?? null };
  }

  /** When anything authentic was last heard of the peer; -Infinity: never. */
  get heardAt(): number {
    return this.#watch.heardAt;
  }

  /** The peer's list of its addresses. */
  setCandidates(list: readonly DirectCandidate[], now: number): void {
    this.#candidates = list;
    this.#replacePaths(now);
    const active = this.#active?.address;
    const isListed = list.some(({ ip, port }) => ip === active?.ip && port === active.port);
    // The peer's network has changed, perhaps under the active path.
    if (isListed) this.#watch.soon(now);
    else this.#watch.doubt(now);
  }

  /** The TURN servers by way of which the peer's addresses are tried as well. */
  setRelays(relays: readonly RelayServer[], now: number): void {
    this.#relays = relays;
    this.#replacePaths(now);
  }

  /** A TURN server passes datagrams to this address on from now on: what was sent to it before is lost. */
  relayReady(address: Address, now: number): void {
    const path = this.#paths.get(address);
    if (path !== undefined && path.answers === 0) path.startBurst(now);
  }

  #replacePaths(now: number): void {
    const wasRelayed = this.#active?.isRelayed;
    const removed = this.#paths.replace(this.#candidates, this.#relays, now);
    for (const path of removed) this.#flights.forget(path);
    if (this.#active === undefined) return;
    if (removed.includes(this.#active)) this.#fail('the relay ended', now);
    // It was seen before the peer's word of it came.
    else if (this.#active.isRelayed !== wasRelayed) this.#select(this.#active, IS_PEERS_RELAY);
  }

  /** Our own addresses changed: every path may lead elsewhere now. */
  networkChanged(now: number): void {
    this.tryAll(now);
    this.#watch.doubt(now);
  }

  /** All paths are tried as if they were new, but for the active one. */
  tryAll(now: number): void {
    for (const path of this.#paths) {
      if (path !== this.#active) path.restart(now);
    }
    this.#watch.soon(now);
  }

  /** Data went or came, on the active path or, where there is none, by the data channel. */
  dataFlowed(now: number): void {
    if (this.#watch.isIdle(now)) this.#hurry(now);
    this.#watch.flowed(now);
  }

  /** Paths that wait for the slow schedule's next time get one of the quicker schedule. */
  #hurry(now: number): void {
    for (const path of this.#paths) {
      path.nextProbeAt = Math.min(path.nextProbeAt, now + REPEAT_MS * this.#options.random());
    }
  }

  /** An authentic datagram came from there. */
  heardFrom(source: Source, now: number): void {
    this.#watch.heard(now);
    let path = this.#paths.get(source);
    if (path === undefined) {
      const removed = this.#paths.makeRoom(this.#active);
      if (removed !== undefined) this.#flights.forget(removed);
      path = this.#paths.add(source, 'reflexive', now);
      // The peer may have moved: see at once whether it is still where it was.
      if (path !== undefined) this.#watch.doubt(now);
    } else if (path !== this.#active && now - path.lastAnswerAt > COLD_MS && !path.isBursting(now)) {
      path.startBurst(now);
    }
    if (path === undefined) return;
    path.heardAt = now;
    if (source.isPeersRelay !== true || path.isRelayed) return;
    path.isRelayed = true;
    if (path === this.#active) this.#select(path, IS_PEERS_RELAY);
  }

  /** A probe of the peer's came from there. */
  askedFrom(source: Source, now: number): void {
    this.heardFrom(source, now);
    if (this.#active !== undefined && this.#active === this.#paths.get(source)) this.#watch.asked(now);
  }

  /** A reply to probe `id` came from there. */
  answered(from: Source, id: number, now: number): void {
    this.heardFrom(from, now);
    const flight = this.#flights.take(id);
    // A reply from elsewhere than the probe went to (RFC 8445 §7.2.5.2.1) proves no path; heardFrom made its source a candidate.
    if (flight === undefined || flight.path !== this.#paths.get(from)) return;
    const { path } = flight;
    path.proved(flight.sentAt, now);
    path.answers++;
    if (flight.purpose !== 'small' && path.size.answered(flight.size) && path === this.#active) {
      this.#select(path, `datagrams of ${path.size.confirmed} bytes get through`);
    }
    if (path === this.#active) return;
    this.#compare(path, now);
    if (path === this.#active) return;
    if (path.answers < LEAST_ANSWERS || path.betterAnswers > 0) {
      // Half a reason to take it: ask for the other half now, not at the slow schedule's next time.
      path.nextProbeAt = Math.min(path.nextProbeAt, now + CONFIRM_MS);
    } else if (this.#active !== undefined) {
      path.endBurst(this.#repeatAt(path, now));
    }
  }

  /** The data plane could not send on the active path. */
  pathError(errnoName: string, now: number): void {
    const path = this.#active;
    if (path === undefined) return;
    if (errnoName === 'EMSGSIZE') {
      if (path.size.tooLarge(now)) this.#sizeLowered(path, 'the kernel refuses the datagram size', now);
    } else if (NO_ROUTE.has(errnoName)) {
      this.#fail(`sending fails with ${errnoName}`, now);
    } else {
      this.#watch.doubt(now);
    }
  }

  /** Leaves the active path for the channel, because nothing can be sent on any; probing goes on. */
  abandon(why: string, now: number): void {
    if (this.#active !== undefined) this.#fail(why, now);
  }

  /** Does what is due. Returns when it wants to be called again. */
  tick(now: number): number {
    if (now > this.#dueAt + STALL_MS) this.#stalled(now);
    for (const flight of this.#flights.expire(now)) this.#lost(flight, now);
    if (this.#active !== undefined) this.#look(this.#active, now);
    for (const path of this.#paths) this.#probePath(path, now);
    // What is overdue now is no sign of a stall later.
    const due = Math.max(now, this.#nextDue(now));
    this.#dueAt = due > now && this.isCalm(now) ? calmMoment(due) : due;
    return this.#dueAt;
  }

  #probePath(path: Path, now: number): void {
    const isActive = path === this.#active;
    if (!isActive && now >= path.nextProbeAt) {
      this.#send(path, MIN_PROBE_BYTES, 'small', now);
      path.scheduled(now, this.#repeatAt(path, now));
    }
    // A path that has not answered a small probe will not answer a large one.
    if (path.answers === 0) return;
    for (const size of path.size.wants(now, isActive)) this.#send(path, size, 'size', now);
  }

  #send(path: Path, size: number, purpose: Purpose, now: number): void {
    const id = this.#flights.add(path, size, purpose, now);
    if (purpose !== 'size') path.sent(now);
    this.#actions.probe(path.address, id, size);
  }

  /** Keeps the active path under watch. */
  #look(path: Path, now: number): void {
    const probe = this.#watch.scheduled(now);
    if (probe !== undefined) this.#probeActive(path, probe === 'full', now);
    const overdue = this.#watch.overdue(path, now);
    if (overdue === undefined) return;
    // Suspect: ask more often, and see what else there is.
    for (const other of overdue.isSerious ? this.#paths : []) {
      if (other !== path && !other.isBursting(now)) other.startBurst(now);
    }
    if (overdue.isRetry) this.#probeActive(path, false, now);
    if (!this.#watch.mayLeave(path)) return;
    const better = this.#best((other) => other !== path && other.provedAt > overdue.since, now);
    const silence = this.#watch.deadFor(overdue.since, this.#options.channelHeardAt(), now);
    if (better !== undefined) {
      path.answers = 0;
      this.#activate(better, `${path.key} went silent`, now);
    } else if (silence !== undefined) {
      this.#fail(`no answer for ${Math.round(silence)} ms`, now);
    }
  }

  #probeActive(path: Path, withFull: boolean, now: number): void {
    this.#watch.probed(now);
    this.#send(path, MIN_PROBE_BYTES, 'small', now);
    if (withFull) this.#send(path, path.size.confirmed, 'full', now);
  }

  /** A probe had no answer within its grace. */
  #lost({ path, purpose, size, sentAt }: Flight, now: number): void {
    const otherGotThrough = path.provedAt >= sentAt;
    if (purpose === 'small') {
      if (path === this.#active) return;
      path.answers = 0;
      path.betterAnswers = 0;
    } else if (!otherGotThrough) {
      path.size.forgotten(size);
    } else if (path.size.lost(size, now)) {
      if (path === this.#active) this.#sizeLowered(path, `datagrams of ${size} bytes vanish`, now);
    } else if (purpose === 'full' && path === this.#active) {
      // Ask again at once: a black hole is to cost little.
      this.#probeActive(path, true, now);
    }
  }

  #sizeLowered(path: Path, why: string, now: number): void {
    if (path.size.confirmed === 0) this.#fail(why, now);
    else this.#select(path, why);
  }

  /** An inactive path answered: is it worth taking? */
  #compare(path: Path, now: number): void {
    if (!this.#isUsable(path, now)) return;
    const active = this.#active;
    if (active === undefined) {
      this.#activate(path, 'it answers', now);
      return;
    }
    path.betterAnswers = isBetter(path, active, this.#watch.isIdle(now)) ? path.betterAnswers + 1 : 0;
    if (path.betterAnswers >= LEAST_ANSWERS) this.#activate(path, `it is better than ${active.key}`, now);
  }

  #isUsable(path: Path, now: number): boolean {
    if (path.isRelayed && path !== this.#active && !this.#options.isRelayWorth(path.srtt ?? 0)) return false;
    return path.size.confirmed > 0 && path.answers >= LEAST_ANSWERS && now - path.lastAnswerAt < FRESH_MS;
  }

  #best(condition: (path: Path) => boolean, now: number): Path | undefined {
    let best: Path | undefined;
    for (const path of this.#paths) {
      if (!condition(path) || !this.#isUsable(path, now)) continue;
      if (best === undefined || isCheaper(path, best)) best = path;
    }
    return best;
  }

  #activate(path: Path, why: string, now: number): void {
    const before = this.#active;
    if (before !== undefined) {
      before.betterAnswers = 0;
      before.forgetUnproved();
      before.scheduled(now, now + this.#jittered(REPEAT_MS));
    }
    this.#active = path;
    path.betterAnswers = 0;
    path.forgetUnproved();
    this.#watch.activated(now);
    this.#select(path, why);
  }

  #select(path: Path, why: string): void {
    this.#actions.select(selected(path), why);
  }

  /** The active path is of no use any more: the channel carries until something answers twice. */
  #fail(why: string, now: number): void {
    this.#active = undefined;
    for (const path of this.#paths) {
      path.answers = 0;
      path.forgetUnproved();
      if (!path.isBursting(now)) path.startBurst(now);
    }
    this.#actions.select(null, why);
  }

  /** Nothing flows. */
  isIdle(now: number): boolean {
    return this.#watch.isIdle(now);
  }

  /** Nothing flows, a path carries, and nothing speaks against it. */
  isCalm(now: number): boolean {
    if (this.#active === undefined || !this.#watch.isCalm(this.#active, now)) return false;
    for (const path of this.#paths) if (path.isBursting(now)) return false;
    return true;
  }

  #repeatAt(path: Path, now: number): number {
    if (!this.#watch.isIdle(now)) return now + this.#jittered(REPEAT_MS);
    if (this.#active === undefined) {
      return now + this.#jittered(Math.min(Math.max(REPEAT_MS, path.burstAge(now)), IDLE_LOST_REPEAT_MS));
    }
    const isBetterKind = this.#active.isRelayed && !path.isRelayed;
    const likeMs = path.isRelayed ? IDLE_RELAYED_REPEAT_MS : IDLE_REPEAT_MS;
    const repeatMs = isBetterKind ? IDLE_DIRECT_REPEAT_MS : likeMs;
    // Together with the probes of the active paths.
    return idleMoment(now + repeatMs);
  }

  #jittered(ms: number): number {
    return ms * (1 + REPEAT_JITTER * (this.#options.random() - 0.5));
  }

  #stalled(now: number): void {
    this.#active?.forgetUnproved();
    this.#watch.soon(now);
  }

  #nextDue(now: number): number {
    let due = this.#flights.dueAt;
    for (const path of this.#paths) {
      if (path !== this.#active) due = Math.min(due, path.nextProbeAt);
      if (path.answers > 0) due = Math.min(due, path.size.dueAt(path === this.#active));
    }
    return this.#active === undefined ? due : Math.min(due, this.#watch.nextDue(this.#active, now));
  }
}

function selected({ address, size, isRelayed }: Path): SelectedPath {
  return { ...address, datagramBytes: size.confirmed, isRelayed };
}
