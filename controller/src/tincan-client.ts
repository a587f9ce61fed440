import { createSocket, type Socket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { describeError, type Logger, PeerError, SystemError, Timers } from '@kith/base';
import {
  API_TYPE_CONTROL,
  ApiEnvelope,
  type ApiMethod,
  type ApiReply,
  type ConResp,
  type ConStat,
  type LocalState,
  MAX_API_PAYLOAD,
  type PeerState,
  parseApiReply,
} from '@kith/protocol';

/** A call on loopback is answered within milliseconds; set_local_ip runs `ip`, which takes tens. */
const CALL_TIMEOUT_MS = 1_500;

/** UDP may drop even on loopback when a buffer is full. All calls may be repeated without harm. */
const CALL_TRIES = 3;

/** How often tincan is asked whether it is still the same process. */
const HEARTBEAT_MS = 1_000;

/** The same while it does not answer: it starts within half a second, and links wait for it. */
const SEARCH_MS = 100;

/** How long a heartbeat waits, and how many in a row must fail before tincan counts as lost: a busy tincan is not a dead one. */
const HEARTBEAT_TIMEOUT_MS = 500;
const LOST_AFTER_FAILURES = 3;

/** Calls that wait for an answer; more means that tincan is gone, which the heartbeat finds out. */
const MAX_PENDING = 4_096;

export interface TincanClientEvents {
  /** tincan answers, for the first time or as a new process: it knows nothing of what was said before. */
  started(state: LocalState, peers: PeerState[]): void;
  /** tincan does not answer any more. */
  lost(reason: string): void;
  candidates(message: ConResp): void;
  linkState(message: ConStat): void;
}

interface Pending {
  replies: ApiReply[];
  /** Replies that make the answer whole, once known. */
  expected: number;
  resolve: (replies: ApiReply[]) => void;
  reject: (error: Error) => void;
}

/** The controller's end of tincan's JSON/UDP API. */
export class TincanClient {
  readonly #port: number;
  readonly #secretFile: string;
  readonly #log: Logger;
  readonly #events: TincanClientEvents;
  readonly #timers = new Timers();
  readonly #pending = new Map<number, Pending>();
  #socket: Socket | undefined;
  #envelope: ApiEnvelope | undefined;
  #nextId = 1;
  #instance: string | undefined;
  #down: string | null = 'not reached yet';
  #failures = 0;
  readonly counters = { tincan_dropped_datagrams: 0, tincan_timeouts: 0 };

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

  /** The UDP port that calls leave from and notifications come to. */
  get port(): number {
    return this.#socket?.address().port ?? 0;
  }

  start(): void {
    const socket = createSocket('udp4');
    socket.on('message', (datagram) => this.#receive(datagram));
    socket.on('error', (error) => this.#log.warn({ err: error }, `tincan API socket: ${error.message}`));
    socket.bind({ address: '127.0.0.1', port: 0 }, () => {
      this.#socket = socket;
      void this.#heartbeat();
    });
  }

  stop(): void {
    this.#timers.clearAll();
    for (const id of [...this.#pending.keys()])
      this.#settle(id, new SystemError('STOPPED', 'the controller ends'));
    this.#socket?.close();
    this.#socket = undefined;
  }

  /**
   * Calls a method and returns its replies; for get_state the local_state followed by the peer_states.
   * @throws PeerError with tincan's own code when tincan refuses, SystemError TINCAN_SILENT when it does not answer.
   */
  async call(method: ApiMethod, parameters: object = {}): Promise<ApiReply[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#callOnce(method, parameters);
      } catch (error) {
        if (!(error instanceof SystemError) || error.code !== 'TINCAN_SILENT' || tries >= CALL_TRIES)
          throw error;
      }
    }
  }

  async getState(uid: string, stats: boolean): Promise<{ local: LocalState; peers: PeerState[] }> {
    return stateOf(await this.call('get_state', { uid, stats }));
  }

  #callOnce(method: ApiMethod, parameters: object, timeoutMs = CALL_TIMEOUT_MS): Promise<ApiReply[]> {
    const socket = this.#socket;
    const envelope = this.#envelope;
    if (socket === undefined || envelope === undefined || this.#pending.size >= MAX_PENDING) {
      return Promise.reject(
        new SystemError('TINCAN_SILENT', this.#down ?? 'too many calls are waiting for tincan'),
      );
    }
    const id = this.#nextId++;
    const payload = Buffer.from(JSON.stringify({ m: method, id, ...parameters }));
    if (payload.length > MAX_API_PAYLOAD) {
      return Promise.reject(new PeerError('API_TOO_LONG', `${method} exceeds a datagram`));
    }
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { replies: [], expected: 1, resolve, reject });
      this.#timers.after(`call ${id}`, timeoutMs, () => {
        this.counters.tincan_timeouts++;
        this.#settle(id, new SystemError('TINCAN_SILENT', `tincan did not answer ${method}`));
      });
      socket.send(envelope.seal(API_TYPE_CONTROL, payload, process.hrtime.bigint()), this.#port, '127.0.0.1');
    });
  }

  #receive(datagram: Buffer): void {
    const opened = this.#envelope?.open(datagram, process.hrtime.bigint());
    if (opened === undefined || !opened.ok || opened.type !== API_TYPE_CONTROL) {
      this.counters.tincan_dropped_datagrams++;
      return;
    }
    let reply: ApiReply;
    try {
      reply = parseApiReply(opened.payload);
    } catch (error) {
      this.counters.tincan_dropped_datagrams++;
      this.#log.warn(describeError(error));
      return;
    }
    if (reply.type === 'con_stat') this.#events.linkState(reply);
    else if (reply.type === 'con_resp') this.#events.candidates(reply);
    else if (typeof reply.id === 'number') this.#answer(reply.id, reply);
  }

  #answer(id: number, reply: ApiReply): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (reply.type === 'error') {
      this.#settle(id, new PeerError(reply.code, `tincan: ${reply.error}`, { field: reply.field }));
      return;
    }
    if (reply.type === 'local_state') pending.expected = 1 + reply.peers;
    pending.replies.push(reply);
    if (pending.replies.length >= pending.expected) this.#settle(id, pending.replies);
  }

  #settle(id: number, outcome: ApiReply[] | Error): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    this.#timers.clear(`call ${id}`);
    if (outcome instanceof Error) pending.reject(outcome);
    else pending.resolve(outcome);
  }

  async #heartbeat(): Promise<void> {
    try {
      if (this.#envelope === undefined) await this.#readSecret();
      // A UID that nobody has: the answer is local_state alone, which tells the instance.
      const { local } = stateOf(
        await this.#callOnce('get_state', { uid: NOBODY, stats: false }, HEARTBEAT_TIMEOUT_MS),
      );
      this.#failures = 0;
      if (local.instance !== this.#instance) await this.#newInstance();
    } catch (error) {
      this.#fail(describeError(error));
    }
    if (this.#socket === undefined) return;
    const pause = this.#failures === 0 ? HEARTBEAT_MS : SEARCH_MS;
    this.#timers.after('heartbeat', pause, () => void this.#heartbeat());
  }

  async #newInstance(): Promise<void> {
    const { local, peers } = await this.getState('', false);
    this.#instance = local.instance;
    this.#down = null;
    this.#events.started(local, peers);
  }

  async #readSecret(): Promise<void> {
    const hex = (await readFile(this.#secretFile, 'utf8')).trim();
    this.#envelope = new ApiEnvelope(Buffer.from(hex, 'hex'), 'call', process.hrtime.bigint());
  }

  #fail(reason: string): void {
    this.#failures++;
    const wasUp = this.#down === null;
    if (wasUp && this.#failures < LOST_AFTER_FAILURES) return;
    this.#down = reason;
    // A tincan that was started anew may have a new secret.
    this.#envelope = undefined;
    this.#instance = undefined;
    if (wasUp) this.#events.lost(reason);
  }
}

const NOBODY = '0'.repeat(40);

function stateOf(replies: readonly ApiReply[]): { local: LocalState; peers: PeerState[] } {
  const local = replies.find((reply) => reply.type === 'local_state');
  if (local === undefined) throw new PeerError('TINCAN_REPLY', 'get_state was answered without local_state');
  return { local, peers: replies.filter((reply) => reply.type === 'peer_state') };
}
