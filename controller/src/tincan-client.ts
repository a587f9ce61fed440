import { describeError, type Logger, monotonicMs, nextGridMoment, SystemError, Timers } from '@kith/base';
import type { ApiMethod, ApiReply, PathEventStatus } from '@kith/protocol';
import { type Notification, TincanCalls, type TincanState } from './tincan-calls.ts';

/**
 * How often tincan is asked whether it is still the same process, when nobody says that it may not be: the supervisor does, but a start
 * by hand or a word of the supervisor's that came too early would go unnoticed. Both ends are woken each time.
 */
const HEARTBEAT_MS = 5_000;

/** The same while it does not answer: it starts within half a second, and links wait for it. */
const SEARCH_MS = 100;

/** How long a heartbeat waits, and how many in a row must fail before tincan counts as lost when there was a reason to ask. */
const HEARTBEAT_TIMEOUT_MS = 500;
const LOST_AFTER_FAILURES = 3;
/** The same when there was none, 6 s in all: a busy tincan is not a dead one, and taking it up anew would make it busier. */
const SILENT_AFTER_FAILURES = 10;

export interface TincanClientEvents {
  /** tincan answers, for the first time or as a new process: it knows nothing of what was said before. */
  started(state: TincanState): void;
  /** tincan does not answer any more. */
  lost(reason: string): void;
  notification(notification: Notification): void;
}

/** Keeps in touch with tincan: finds it, notices when it is gone or another process, and calls it. */
export class TincanClient {
  readonly #port: number;
  readonly #secretFile: string;
  readonly #log: Logger;
  readonly #events: TincanClientEvents;
  readonly #timers = new Timers();
  #calls: TincanCalls | undefined;
  #instance: string | undefined;
  #down: string | null = 'not reached yet';
  #failures = 0;
  #isAsking = false;
  /** Since its last answer somebody has said that it may be gone. */
  #isDoubted = false;
  /** There was a reason to ask while an answer was awaited. */
  #askAgain = false;

  constructor(port: number, secretFile: string, log: Logger, events: TincanClientEvents) {
    this.#port = port;
    this.#secretFile = secretFile;
    this.#log = log;
    this.#events = events;
  }

  /** Why tincan does not answer, or null when it does. */
  get down(): string | null {
    return this.#down;
  }

  /** The UDP port that notifications come to. */
  get port(): number {
    return this.#calls?.port ?? 0;
  }

  get counters(): Record<string, number> {
    return this.#calls?.counters ?? {};
  }

  async start(): Promise<void> {
    this.#calls = await TincanCalls.open(this.#port, (notification) =>
      this.#events.notification(notification),
    );
    void this.#heartbeat(this.#calls);
  }

  /** There may be another tincan than before, or none: asks at once. */
  look(): void {
    this.#isDoubted = true;
    if (this.#isAsking) this.#askAgain = true;
    else if (this.#calls !== undefined) void this.#heartbeat(this.#calls);
  }

  stop(): void {
    this.#timers.clearAll();
    this.#calls?.close();
    this.#calls = undefined;
  }

  /** @throws as TincanCalls.call. */
  async call(method: ApiMethod, parameters: object = {}): Promise<ApiReply[]> {
    return this.#reached().call(method, parameters);
  }

  async getState(uid: string, stats: boolean): Promise<TincanState> {
    return this.#reached().getState(uid, stats);
  }

  /** @throws as TincanCalls.glance. */
  async glance(): Promise<TincanState> {
    return this.#reached().glance();
  }

  /** What happened on the way to a node. @throws as TincanCalls.call. */
  async pathEvents(uid: string): Promise<readonly PathEventStatus[]> {
    return this.#reached().pathEvents(uid);
  }

  #reached(): TincanCalls {
    if (this.#calls === undefined || this.#down !== null) {
      throw new SystemError('TINCAN_SILENT', this.#down ?? 'the controller ends');
    }
    return this.#calls;
  }

  async #heartbeat(calls: TincanCalls): Promise<void> {
    this.#timers.clear('heartbeat');
    this.#isAsking = true;
    this.#askAgain = false;
    try {
      if (!calls.hasSecret) await calls.readSecret(this.#secretFile);
      const { instance } = await calls.ask(HEARTBEAT_TIMEOUT_MS);
      this.#failures = 0;
      this.#isDoubted = false;
      if (instance !== this.#instance) await this.#newInstance(calls);
    } catch (error) {
      this.#fail(calls, describeError(error));
    }
    this.#isAsking = false;
    if (this.#calls === undefined) return;
    const now = monotonicMs();
    const isWell = this.#failures === 0 && !this.#askAgain;
    const pause = isWell ? nextGridMoment(now, HEARTBEAT_MS) - now : SEARCH_MS;
    this.#timers.after('heartbeat', pause, () => void this.#heartbeat(calls));
  }

  async #newInstance(calls: TincanCalls): Promise<void> {
    const state = await calls.getState('', false);
    this.#instance = state.local.instance;
    this.#down = null;
    this.#log.info({ instance: this.#instance, links: state.peers.length }, 'tincan reached');
    this.#events.started(state);
  }

  #fail(calls: TincanCalls, reason: string): void {
    this.#failures++;
    const wasUp = this.#down === null;
    if (wasUp && this.#failures < (this.#isDoubted ? LOST_AFTER_FAILURES : SILENT_AFTER_FAILURES)) return;
    this.#down = reason;
    // A tincan that was started anew may have a new secret.
    calls.forgetSecret();
    this.#instance = undefined;
    if (wasUp) this.#events.lost(reason);
  }
}
