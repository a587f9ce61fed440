import { describeError, type Logger, monotonicMs, Timers } from '@kith/base';
import { type Candidate, formatCandidate, MAX_CANDIDATES } from '@kith/protocol';
import type { SelectedPair } from './channel/peer-session.ts';
import type { IceCredentials } from './channel/session-description.ts';
import type { EventLog } from './direct/event-log.ts';
import { endpointText } from './endpoint.ts';
import type { LinkRelay } from './relay/link-relay.ts';

/** Host candidates come within a millisecond of each other; this is how long the first waits for company before it is reported. */
const CANDIDATE_BATCH_MS = 5;

/**
 * How long the first connectivity checks are left to the peer, where those are to go first (`head-start.ts`). Two nodes on one machine took
 * 1.0 s to connect in 4 of 10 tries without this, and in 1 of 16 with it (0.15 s in the others).
 */
const HEAD_START_MS = 100;

/**
 * An address at a TURN server is given back when ICE goes without it: ejabberd has ten for each address of a client (turn_max_allocations).
 * The two ends may differ for a moment in what they go by.
 */
const SPARE_RELAY_MS = 3_000;

/** How long ICE may still leave a relay for something better: the checks that libjuice has begun take 39.5 s at most. */
const ICE_CHECKS_MS = 40_000;

/** Types of candidates with the words that `kith status` has for them. */
const KINDS = [
  ['local', 'host'],
  ['stun', 'mapped'],
  ['relay', 'relay'],
] as const;

export interface CandidateActions {
  /** More local candidates are known; `complete` when there will be no more. */
  known(complete: boolean): void;
  /** Hands one of the peer's candidates to ICE; may throw. */
  check(candidate: Candidate): void;
  /** Addresses that no link may use: the overlay's own, and those of interfaces that the controller excluded. */
  isExcluded(ip: string): boolean;
  /** The address that a TURN server gave us is gone. */
  relayLost(reason: string): void;
}

/** What is needed of a LinkRelay. */
export type IceRelay = Pick<
  LinkRelay,
  'listen' | 'setIcePort' | 'reach' | 'named' | 'notNeeded' | 'stream' | 'dropped' | 'close'
>;

export interface CandidateParts {
  /** Closed by `stop`; undefined: there is none. */
  relay: IceRelay | undefined;
  /** Where the story of the link is told. */
  history: EventLog;
  log: Logger;
}

/** The ICE candidates of one attempt, those by way of a TURN server too: ours on their way to the controller, the peer's on their way to ICE. */
export class CandidateExchange {
  readonly #actions: CandidateActions;
  readonly #history: EventLog;
  readonly #log: Logger;
  #relay: IceRelay | undefined;
  readonly #timers = new Timers();
  readonly #local: Candidate[] = [];
  readonly #remote = new Map<string, Candidate>();
  /** The peer's candidates that ICE has not been given yet. */
  #unchecked: Candidate[] = [];
  #isIceDone = false;
  #isRelaySettled = false;
  /** Undefined: not yet, or so long ago that ICE stays with what it has. */
  #onlineAt: number | undefined;
  /** By a relay that is given back. */
  #droppedBefore = 0;

  constructor(actions: CandidateActions, { relay, history, log }: CandidateParts) {
    this.#actions = actions;
    this.#relay = relay;
    this.#history = history;
    this.#log = log;
    this.#isRelaySettled = relay === undefined;
  }

  /** An address at a TURN server is told to the peer with these credentials, those of ICE. */
  start(ice: IceCredentials): void {
    this.#relay?.listen({
      allocated: (candidate) => this.addLocal({ component: 1, protocol: 'udp', ...ice, ...candidate }),
      settled: (failures) => {
        for (const failure of failures) this.#note(`no address at the TURN server ${failure}`);
        this.#isRelaySettled = true;
        this.#tellGathered();
      },
      detour: (candidate) => this.#check(candidate),
      lost: (reason) => this.#actions.relayLost(reason),
    });
  }

  get isGathered(): boolean {
    return this.#isIceDone && this.#isRelaySettled;
  }

  /** The server that relays by TCP or TLS, for people; undefined where none does. */
  get relayStream(): string | undefined {
    return this.#relay?.stream;
  }

  /** Datagrams by way of a TURN server that were dropped. */
  get relayDropped(): number {
    return this.#relay?.dropped ?? this.#droppedBefore;
  }

  /** The link is online: from now on it counts which pair ICE has selected. */
  online(now: number): void {
    this.#onlineAt = now;
    this.#relay?.notNeeded();
  }

  /** Gives the address at a TURN server back when the pair that ICE selected does not go by it. */
  tick(now: number, selected: () => SelectedPair | null): void {
    if (this.#relay === undefined || this.#onlineAt === undefined) return;
    if (now < this.#onlineAt + SPARE_RELAY_MS) return;
    // The library is asked for the pair no longer than it may change.
    if (now >= this.#onlineAt + ICE_CHECKS_MS) this.#onlineAt = undefined;
    const pair = selected();
    if (pair === null || this.#relay.named(pair) !== pair) return;
    this.#droppedBefore = this.#relay.dropped;
    this.#relay.close();
    this.#relay = undefined;
  }

  /** Local candidates so far in IPOP's form, separated by spaces. */
  local(): string {
    return this.#local.map(formatCandidate).join(' ');
  }

  addLocal(candidate: Candidate): void {
    if (candidate.type === 'local') this.#relay?.setIcePort(candidate.port);
    if (this.#local.length >= MAX_CANDIDATES || this.#actions.isExcluded(candidate.ip)) return;
    this.#local.push(candidate);
    if (!this.#timers.has('batch')) {
      this.#timers.after('batch', CANDIDATE_BATCH_MS, () => this.#actions.known(this.isGathered));
    }
  }

  /** ICE has found all that it finds by itself. */
  gathered(): void {
    this.#isIceDone = true;
    this.#tellGathered();
  }

  /** The peer's checks go first. */
  giveHeadStart(): void {
    this.#timers.after('head start', HEAD_START_MS, () => this.#checkAll());
  }

  /** Exceeding candidates are ignored: MAX_CANDIDATES bounds what ICE has to check. */
  addRemote(candidates: readonly Candidate[]): void {
    for (const candidate of candidates) {
      // A peer may name any address, one inside the network among them.
      if (this.#actions.isExcluded(candidate.ip)) continue;
      const key = formatCandidate(candidate);
      if (this.#remote.has(key) || this.#remote.size >= MAX_CANDIDATES) continue;
      this.#remote.set(key, candidate);
      // Before ICE has it: the server needs a round trip to let it pass.
      this.#relay?.reach(candidate);
      this.#check(candidate);
    }
    this.#note(`the peer's addresses: ${this.#kinds([...this.#remote.values()])}`);
  }

  /**
   * ICE calls an address peer-reflexive when a check from it came before it was signalled (RFC 8445 §7.3.1.3); a person wants to know
   * what it is, which the signalled candidate tells.
   */
  named(pair: SelectedPair | null): SelectedPair | null {
    const known = this.#relay === undefined ? pair : this.#relay.named(pair);
    if (known === null) return null;
    const signalled = [...this.#remote.values()].find(
      (candidate) => endpointText(candidate) === known.remote,
    );
    return signalled === undefined ? known : { ...known, remoteType: signalled.type };
  }

  stop(): void {
    this.#timers.clearAll();
    this.#relay?.close();
  }

  #tellGathered(): void {
    if (!this.isGathered) return;
    this.#timers.clear('batch');
    this.#note(`our addresses: ${this.#kinds(this.#local)}`);
    this.#actions.known(true);
  }

  #check(candidate: Candidate): void {
    this.#unchecked.push(candidate);
    if (!this.#timers.has('head start')) this.#checkAll();
  }

  #checkAll(): void {
    for (const candidate of this.#unchecked.splice(0)) {
      try {
        this.#actions.check(candidate);
      } catch (error) {
        this.#log.warn(`ICE refuses a candidate: ${describeError(error)}`);
      }
    }
  }

  /** How many there are of which kind, for people: `2 host, 1 mapped`. */
  #kinds(all: readonly Candidate[]): string {
    const counted = KINDS.flatMap(([kind, word]) => {
      const count = all.filter(({ type }) => type === kind).length;
      return count === 0 ? [] : [`${count} ${word}`];
    });
    return counted.join(', ') || 'none';
  }

  #note(text: string): void {
    this.#history.add(text, monotonicMs());
  }
}
