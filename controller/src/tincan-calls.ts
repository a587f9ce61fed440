import { createSocket, type Socket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { PeerError, SystemError, Timers } from '@kith/base';
import {
  API_TYPE_CONTROL,
  ApiEnvelope,
  type ApiMethod,
  type ApiReply,
  type ConResp,
  type ConStat,
  type LinkSuspect,
  type LinkWanted,
  type LocalState,
  MAX_API_PAYLOAD,
  type NetworkChanged,
  type PathEventStatus,
  type PeerState,
  parseApiReply,
} from '@kith/protocol';

/**
 * A call on loopback is answered within milliseconds; set_local_ip runs `ip`, which takes tens. Each repetition waits twice as long: to a
 * tincan that is busy for seconds each is more to do.
 */
const CALL_TIMEOUT_MS = 1_500;
/**
 * `kith status` gives up after two seconds, and must hear of a tincan that died a moment ago; one that lives answers within 20 ms, and
 * with a thousand members in 250.
 */
const GLANCE_TIMEOUT_MS = 1_000;

/** UDP may drop even on loopback when a buffer is full. All calls may be repeated without harm. */
const CALL_TRIES = 3;

/** Calls that wait for an answer; more means that tincan is gone, which the heartbeat finds out. */
const MAX_PENDING = 4_096;

/** What tincan tells without being asked. */
export type Notification = ConResp | ConStat | LinkWanted | LinkSuspect | NetworkChanged;

const NOTIFICATIONS: ReadonlySet<string> = new Set<Notification['type']>([
  ...(['con_resp', 'con_stat', 'link_wanted', 'link_suspect', 'network_changed'] as const),
]);

function isNotification(reply: ApiReply): reply is Notification {
  return NOTIFICATIONS.has(reply.type);
}

/** tincan's own state and that of its links. */
export interface TincanState {
  local: LocalState;
  peers: PeerState[];
}

interface Pending {
  replies: ApiReply[];
  /** Replies that make the answer whole, once known. */
  expected: number;
  resolve: (replies: ApiReply[]) => void;
  reject: (error: Error) => void;
}

/** Calls of tincan's JSON/UDP API from one socket, and what comes back. */
export class TincanCalls {
  readonly #port: number;
  readonly #socket: Socket;
  readonly #onNotification: (notification: Notification) => void;
  readonly #timers = new Timers();
  readonly #pending = new Map<number, Pending>();
  #envelope: ApiEnvelope | undefined;
  #nextId = 1;
  readonly counters = { tincan_dropped_datagrams: 0, tincan_timeouts: 0 };

  private constructor(port: number, socket: Socket, onNotification: (notification: Notification) => void) {
    this.#port = port;
    this.#socket = socket;
    this.#onNotification = onNotification;
    socket.on('message', (datagram) => this.#receive(datagram));
    // An ICMP error of a tincan that is gone; the calls' time-outs tell it.
    socket.on('error', () => this.counters.tincan_dropped_datagrams++);
  }

  /** @param port where tincan listens on 127.0.0.1 */
  static open(
    port: number,
    onNotification: (notification: Notification) => void = () => {},
  ): Promise<TincanCalls> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', (cause) =>
        reject(new SystemError('API_SOCKET', 'no UDP socket for the API', { cause })),
      );
      socket.bind({ address: '127.0.0.1', port: 0 }, () => {
        socket.removeAllListeners('error');
        resolve(new TincanCalls(port, socket, onNotification));
      });
    });
  }

  /** The UDP port that calls leave from and notifications come to. */
  get port(): number {
    return this.#socket.address().port;
  }

  get hasSecret(): boolean {
    return this.#envelope !== undefined;
  }

  /** Reads the secret that every call has to prove. Rejects with SystemError API_SECRET_UNREADABLE. */
  async readSecret(file: string): Promise<void> {
    let hex: string;
    try {
      hex = (await readFile(file, 'utf8')).trim();
    } catch (cause) {
      throw new SystemError('API_SECRET_UNREADABLE', `cannot read the API secret ${file}`, { cause });
    }
    this.#envelope = new ApiEnvelope(Buffer.from(hex, 'hex'), 'call', process.hrtime.bigint());
  }

  forgetSecret(): void {
    this.#envelope = undefined;
  }

  /**
   * Calls a method and returns its replies; for get_state the local_state followed by the peer_states.
   * @throws PeerError with tincan's own code when tincan refuses, SystemError TINCAN_SILENT when it does not answer.
   */
  async call(method: ApiMethod, parameters: object = {}): Promise<ApiReply[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#callOnce(method, parameters, CALL_TIMEOUT_MS * 2 ** (tries - 1));
      } catch (error) {
        if (!(error instanceof SystemError) || error.code !== 'TINCAN_SILENT' || tries >= CALL_TRIES)
          throw error;
      }
    }
  }

  /** The state of one link, or of all with uid ''. */
  async getState(uid: string, stats: boolean): Promise<TincanState> {
    return stateOf(await this.call('get_state', { uid, stats }));
  }

  /** The state of all links for somebody who waits: asked once. @throws as call. */
  async glance(): Promise<TincanState> {
    return stateOf(await this.#callOnce('get_state', { uid: '', stats: true }, GLANCE_TIMEOUT_MS));
  }

  /** What happened on the way to a node, oldest first. */
  async pathEvents(uid: string): Promise<readonly PathEventStatus[]> {
    const replies = await this.call('get_path_events', { uid });
    return replies.flatMap((reply) => (reply.type === 'path_events' ? reply.events : []));
  }

  /** tincan's own state alone, asked once. */
  async ask(timeoutMs: number): Promise<LocalState> {
    // A UID that nobody has.
    return stateOf(await this.#callOnce('get_state', { uid: '0'.repeat(40), stats: false }, timeoutMs)).local;
  }

  close(): void {
    for (const id of [...this.#pending.keys()])
      this.#settle(id, new SystemError('STOPPED', 'the caller ends'));
    this.#timers.clearAll();
    this.#socket.close();
  }

  #callOnce(method: ApiMethod, parameters: object, timeoutMs: number): Promise<ApiReply[]> {
    const envelope = this.#envelope;
    if (envelope === undefined || this.#pending.size >= MAX_PENDING) {
      return Promise.reject(new SystemError('TINCAN_SILENT', 'tincan is not reached'));
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
      const datagram = envelope.seal(API_TYPE_CONTROL, payload, process.hrtime.bigint());
      this.#socket.send(datagram, this.#port, '127.0.0.1');
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
    } catch {
      this.counters.tincan_dropped_datagrams++;
      return;
    }
    if (isNotification(reply)) this.#onNotification(reply);
    else if ('id' in reply && typeof reply.id === 'number') this.#answer(reply.id, reply);
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
}

function stateOf(replies: readonly ApiReply[]): TincanState {
  const local = replies.find((reply) => reply.type === 'local_state');
  if (local === undefined) throw new PeerError('TINCAN_REPLY', 'get_state was answered without local_state');
  return { local, peers: replies.filter((reply) => reply.type === 'peer_state') };
}
