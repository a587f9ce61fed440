import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { describeError, monotonicMs, Timers } from '@kith/base';
import { type Endpoint, endpointText } from '../endpoint.ts';
import { SOCKET_BUFFER_BYTES } from './socket-buffer.ts';
import { TurnClient, type TurnCredentials } from './turn-client.ts';

/** Datagrams to one peer that wait for its channel: a check and the first flight of a handshake. */
const MAX_HELD = 4;

/** Peers for which datagrams wait. */
const MAX_HELD_PEERS = 16;

/** Who gives up a server that has not answered yet waits this much for the answer: an allocation that nobody gives back lives for ten minutes. */
const RETIRE_MS = 5_000;

export interface TurnSocketEvents {
  /** The server gave a relayed address, or took it back, or refuses. */
  changed(): void;
  /** Datagrams to this peer pass from now on. */
  bound(peer: Endpoint): void;
  /** From a peer; the bytes are the callee's to keep. */
  received(peer: Endpoint, data: Uint8Array): void;
}

/** An allocation at one TURN server for one UDP socket of its own: the real network and clock around a TurnClient. */
export class TurnSocket {
  readonly server: Endpoint;
  readonly #events: TurnSocketEvents;
  readonly #socket: Socket;
  readonly #client: TurnClient;
  readonly #timers = new Timers();
  readonly #held = new Map<string, Uint8Array[]>();
  #isConnected = false;
  #isRetired = false;
  #isClosed = false;
  /** Why nothing can be sent to the server at all. */
  #noWay: string | null = null;
  /** Datagrams that found no channel and no room to wait for one, and those that are no TURN server's. */
  dropped = 0;

  constructor(server: Endpoint, credentials: TurnCredentials, events: TurnSocketEvents) {
    this.server = server;
    this.#events = events;
    const { ip, port } = server;
    this.#socket = createSocket({
      type: ip.includes(':') ? 'udp6' : 'udp4',
      recvBufferSize: SOCKET_BUFFER_BYTES,
    });
    this.#client = new TurnClient(credentials, {
      send: (datagram) => this.#send(datagram),
      randomBytes,
      relayedChanged: () => this.#changed(),
      channelBound: (peer) => this.#bound(peer),
    });
    this.#socket.on('message', (data) => this.#receive(data));
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('connect', () => this.#connected());
    // So that the kernel passes on nothing but what the server sends. Without a callback, which would be called with errors too.
    this.#socket.connect(port, ip);
  }

  /** Where peers reach the socket; null while the server gives no address. */
  get relayed(): Endpoint | null {
    return this.#client.relayed;
  }

  /** Why there is no address, in words; null while the server may still answer. */
  get why(): string | null {
    return this.#noWay ?? this.#client.why;
  }

  /** Asks for the channel to a peer. True when there is one already. */
  want(peer: Endpoint): boolean {
    const isBound = this.#client.channelTo(peer, monotonicMs()) !== undefined;
    if (!isBound) this.#soon();
    return isBound;
  }

  /** Sends to a peer, as soon as there is a channel; the bytes must not change any more. */
  send(peer: Endpoint, datagram: Uint8Array): void {
    const wrapped = this.#client.wrap(peer, datagram, monotonicMs());
    if (wrapped !== undefined) {
      this.#send(wrapped);
      return;
    }
    this.#soon();
    const key = endpointText(peer);
    const held = this.#held.get(key) ?? [];
    if (held.length >= MAX_HELD || (held.length === 0 && this.#held.size >= MAX_HELD_PEERS)) {
      this.dropped++;
      return;
    }
    this.#held.set(key, [...held, datagram]);
  }

  /** Gives the allocation back, also one that is still on its way. Nothing is told from now on. */
  close(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    if (this.#client.state === 'allocating') this.#timers.after('retire', RETIRE_MS, () => this.#end());
    else this.#end();
  }

  #connected(): void {
    if (this.#isClosed) return;
    this.#isConnected = true;
    this.#client.start(monotonicMs());
    this.#tick();
  }

  /** Later than at the beginning it is an ICMP error or a lost route: the client's requests are repeated and then given up. */
  #failed(error: Error): void {
    if (this.#isConnected || this.#isRetired) return;
    this.#noWay = `nothing can be sent there: ${describeError(error)}`;
    this.#events.changed();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#client.stop(monotonicMs());
    this.#isClosed = true;
    this.#timers.clearAll();
    this.#held.clear();
    this.#socket.removeAllListeners('message');
    // What `stop` sent leaves first.
    setImmediate(() => this.#socket.close());
  }

  #changed(): void {
    if (!this.#isRetired) this.#events.changed();
    else if (this.#client.state !== 'allocating') setImmediate(() => this.#end());
  }

  #bound(peer: Endpoint): void {
    if (this.#isRetired) return;
    this.#events.bound(peer);
    const key = endpointText(peer);
    const held = this.#held.get(key) ?? [];
    this.#held.delete(key);
    for (const datagram of held) this.send(peer, datagram);
  }

  #receive(data: Uint8Array): void {
    const received = this.#client.receive(data, monotonicMs());
    if (received === false) this.dropped++;
    else if (received === undefined) this.#tick();
    else if (!this.#isRetired) this.#events.received(received.peer, received.data);
  }

  #soon(): void {
    this.#timers.after('soon', 0, () => this.#tick());
  }

  #tick(): void {
    if (this.#isClosed) return;
    const now = monotonicMs();
    const due = this.#client.tick(now);
    if (due === Number.POSITIVE_INFINITY) this.#timers.clear('turn');
    else this.#timers.after('turn', Math.max(due - now, 1), () => this.#tick());
  }

  #send(datagram: Uint8Array): void {
    // Without a callback an error comes as an event.
    if (!this.#isClosed) this.#socket.send(datagram);
  }
}
