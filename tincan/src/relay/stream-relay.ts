import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { SecureContext } from 'node:tls';
import { SystemError, Timers } from '@kith/base';
import { SOCKET_BUFFER_BYTES } from '../turn/socket-buffer.ts';
import { Race } from './race.ts';
import {
  StreamConnection as Stream,
  type StreamConnection,
  type StreamServer,
  serverText,
} from './stream-connection.ts';
import {
  isAllocateRequest,
  isAllocateResponse,
  isAllocateSuccess,
  refuseAllocate,
  transactionOf,
} from './turn-message.ts';

/** A stream that carried nothing for this long is of no use: who goes this way says something each fifteen seconds. */
const IDLE_MS = 60_000;

/** Bytes that may wait for the local socket; loopback takes them at once unless the machine is out of memory. */
const MAX_LOCAL_BYTES = 262_144;

/** Senders that are looked up per second: a stranger's flood must not cost more than that. */
const MAX_LOOKUPS_PER_SECOND = 5;

export interface StreamRelayCounters {
  turn_streams_opened: number;
  turn_streams_failed: number;
  turn_streams_lost: number;
  dropped_turn_congested: number;
  dropped_turn_malformed: number;
  dropped_turn_stranger: number;
  dropped_turn_unconnected: number;
}

export interface StreamRelayOptions {
  /** In the order of preference. All take the same credentials. */
  servers: readonly StreamServer[];
  /** How long after the first request the first stream is opened, ms: time for relays that are reached by UDP. */
  graceMs(): number;
  trusted(): SecureContext;
  /** Whether the UDP socket at a local port may use this relay. */
  isOurs(port: number): boolean;
  clock(): number;
  counters: StreamRelayCounters;
}

export interface StreamRelayEvents {
  /** The client has an allocation at this server. */
  allocated(server: StreamServer): void;
  /** No server answered; the reason of each. */
  unreachable(reason: string): void;
  /** The stream of an allocation broke, and with it the allocation. */
  lost(reason: string): void;
}

interface Attempt {
  server: StreamServer;
  stream: StreamConnection;
}

/**
 * A UDP socket on loopback that looks like a TURN server to one client of this process, and passes its datagrams over TCP or TLS to the
 * first of several real ones that answers (RFC 8656 §3.1). Allocation, credentials and permissions are the client's; a stream begins
 * with its Allocate request and ends with the allocation.
 */
export class StreamRelay {
  readonly #options: StreamRelayOptions;
  readonly #events: StreamRelayEvents;
  readonly #socket: Socket;
  readonly #timers = new Timers();
  readonly #attempts = new Map<number, Attempt>();
  readonly #reasons: string[] = [];
  #race: Race | undefined;
  #winner: Attempt | undefined;
  /** Transaction of the request that got the allocation; the client may have sent it more than once. */
  #allocation: string | undefined;
  /** Port of the client on loopback. */
  #client: number | undefined;
  /** The Allocate request that the servers race to answer. */
  #request: Uint8Array | undefined;
  #lastUse = 0;
  #lookups = { second: 0, count: 0 };

  private constructor(socket: Socket, options: StreamRelayOptions, events: StreamRelayEvents) {
    this.#socket = socket;
    this.#options = options;
    this.#events = events;
    socket.on('message', (data, from) => this.#fromClient(data, from));
    // Nothing can be done about a datagram that loopback refuses; the client repeats what matters.
    socket.on('error', () => undefined);
  }

  /** Rejects with SystemError RELAY_SOCKET. */
  static open(options: StreamRelayOptions, events: StreamRelayEvents): Promise<StreamRelay> {
    return new Promise((resolve, reject) => {
      const socket = createSocket({ type: 'udp4', recvBufferSize: SOCKET_BUFFER_BYTES });
      const fail = (cause: Error): void => {
        socket.close();
        reject(new SystemError('RELAY_SOCKET', 'no UDP socket on loopback for a TURN server', { cause }));
      };
      socket.once('error', fail);
      socket.bind(0, '127.0.0.1', () => {
        socket.off('error', fail);
        resolve(new StreamRelay(socket, options, events));
      });
    });
  }

  /** Where a TURN client of this process finds it. */
  get endpoint(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#socket.address().port };
  }

  /** The server at which the client has its allocation; undefined while there is none. */
  get inUse(): StreamServer | undefined {
    return this.#allocation === undefined ? undefined : this.#winner?.server;
  }

  close(): void {
    this.#timers.clearAll();
    this.#endRace();
    this.#release();
    this.#socket.removeAllListeners('message');
    this.#socket.close();
  }

  #fromClient(data: Uint8Array, from: RemoteInfo): void {
    const { counters } = this.#options;
    if (from.port !== this.#client && !this.#admit(from.port)) {
      counters.dropped_turn_stranger++;
      return;
    }
    this.#lastUse = this.#options.clock();
    // Who asks for another allocation has given up the one that it has, and with it the stream, which may be dead without a word.
    if (this.#allocation !== undefined && isAllocateRequest(data) && transactionOf(data) !== this.#allocation)
      this.#release();
    if (this.#winner !== undefined) this.#send(this.#winner, data);
    else if (isAllocateRequest(data)) this.#begin(data);
    else counters.dropped_turn_unconnected++;
  }

  /** A client stays the client as long as there is a stream. */
  #admit(port: number): boolean {
    if (this.#client !== undefined && (this.#race !== undefined || this.#winner !== undefined)) return false;
    const second = Math.floor(this.#options.clock() / 1000);
    if (this.#lookups.second !== second) this.#lookups = { second, count: 0 };
    if (++this.#lookups.count > MAX_LOOKUPS_PER_SECOND || !this.#options.isOurs(port)) return false;
    this.#client = port;
    return true;
  }

  /** A repeated request of the client takes the place of the one before it. */
  #begin(request: Uint8Array): void {
    this.#request = Uint8Array.from(request);
    if (this.#race !== undefined) return;
    const { servers, clock, graceMs } = this.#options;
    this.#reasons.length = 0;
    this.#race = new Race(servers.length, clock() + graceMs());
    this.#step();
  }

  #step(): void {
    const race = this.#race;
    if (race === undefined) return;
    const { begin, end } = race.step(this.#options.clock());
    for (const index of end) this.#drop(index, 'no answer');
    for (const index of begin) this.#attempt(index);
    if (race.isLost) {
      const request = this.#request;
      this.#endRace();
      if (request !== undefined) this.#toClient(refuseAllocate(request));
      this.#events.unreachable(this.#reasons.join('; '));
      return;
    }
    this.#timers.after('race', Math.max(race.due - this.#options.clock(), 0), () => this.#step());
  }

  #attempt(index: number): void {
    const server = this.#options.servers[index];
    if (server === undefined) return;
    const stream = new Stream(server, this.#options.trusted, {
      open: () => {
        if (this.#request !== undefined) this.#send({ server, stream }, this.#request);
      },
      message: (message) => this.#fromServer(index, { server, stream }, message),
      ended: (reason) => this.#ended(index, stream, reason),
    });
    this.#attempts.set(index, { server, stream });
  }

  #fromServer(index: number, from: Attempt, message: Uint8Array): void {
    if (this.#winner === undefined) {
      if (this.#request === undefined || !isAllocateResponse(message, this.#request)) return;
      this.#attempts.delete(index);
      this.#endRace();
      this.#winner = from;
      this.#options.counters.turn_streams_opened++;
      this.#watchUse();
    }
    if (this.#winner.stream !== from.stream) return;
    this.#lastUse = this.#options.clock();
    this.#toClient(message);
    if (this.#allocation !== undefined || !isAllocateSuccess(message)) return;
    this.#allocation = transactionOf(message);
    this.#events.allocated(from.server);
  }

  #ended(index: number, stream: StreamConnection, reason: string): void {
    if (this.#winner?.stream === stream) {
      const { server } = this.#winner;
      this.#options.counters.turn_streams_lost++;
      this.#release();
      this.#events.lost(`${serverText(server)}: ${reason}`);
      return;
    }
    this.#race?.failed(index, this.#options.clock());
    this.#drop(index, reason);
    this.#step();
  }

  #drop(index: number, reason: string): void {
    const attempt = this.#attempts.get(index);
    if (attempt === undefined) return;
    this.#attempts.delete(index);
    this.#options.counters.turn_streams_failed++;
    this.#reasons.push(`${serverText(attempt.server)}: ${reason}`);
    attempt.stream.close();
  }

  #endRace(): void {
    this.#race = undefined;
    this.#request = undefined;
    this.#timers.clear('race');
    for (const { stream } of this.#attempts.values()) stream.close();
    this.#attempts.clear();
  }

  #watchUse(): void {
    const left = this.#lastUse + IDLE_MS - this.#options.clock();
    if (left <= 0) this.#release();
    else this.#timers.after('idle', left, () => this.#watchUse());
  }

  /** Ends the stream; the client's next Allocate request begins another. */
  #release(): void {
    this.#timers.clear('idle');
    this.#winner?.stream.close();
    this.#winner = undefined;
    this.#allocation = undefined;
  }

  #send({ stream }: Attempt, data: Uint8Array): void {
    const { counters } = this.#options;
    const outcome = stream.send(data);
    if (outcome === 'congested') counters.dropped_turn_congested++;
    if (outcome === 'malformed') counters.dropped_turn_malformed++;
  }

  #toClient(message: Uint8Array): void {
    if (this.#client === undefined) return;
    if (this.#socket.getSendQueueSize() > MAX_LOCAL_BYTES) {
      this.#options.counters.dropped_turn_congested++;
      return;
    }
    // The message lies in memory that is used again once this returns.
    this.#socket.send(Uint8Array.from(message), this.#client, '127.0.0.1');
  }
}
