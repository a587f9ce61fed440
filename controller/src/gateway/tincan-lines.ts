import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { describeError, type Logger } from '@kith/base';
import type { Endpoint } from '@kith/protocol';

/** Callers that are told apart. Each question from a shell comes from a port of its own; the one that said nothing for longest gives way. */
const MAX_LINES = 64;

const LOOPBACK = '127.0.0.1';

type Receiver = (client: Endpoint, datagram: Buffer) => void;

interface Line {
  socket: Socket;
  client: Endpoint;
}

/**
 * One socket to tincan for each caller, so that what tincan answers finds its way back: IPOP's replies bear no name of the call. Plus one
 * for notifications.
 */
export class TincanLines {
  readonly #tincanPort: number;
  readonly #receive: Receiver;
  readonly #log: Logger;
  readonly #notifications: Socket;
  /** By address and port of the caller, the one that spoke last at the end. */
  readonly #lines = new Map<string, Line>();
  #isClosed = false;
  readonly counters = { gateway_lines_dropped: 0, gateway_dropped_strange: 0 };

  private constructor(
    tincanPort: number,
    notifications: Socket,
    receive: Receiver,
    notify: (datagram: Buffer) => void,
    log: Logger,
  ) {
    this.#tincanPort = tincanPort;
    this.#receive = receive;
    this.#log = log;
    this.#notifications = notifications;
    this.#listen(notifications, notify);
  }

  /** @param tincanPort where tincan listens on 127.0.0.1 */
  static async open(
    tincanPort: number,
    receive: Receiver,
    notify: (datagram: Buffer) => void,
    log: Logger,
  ): Promise<TincanLines> {
    const socket = createSocket('udp4');
    await new Promise<void>((bound, failed) => {
      socket.once('error', failed);
      socket.bind({ address: LOOPBACK, port: 0 }, () => {
        socket.off('error', failed);
        bound();
      });
    });
    return new TincanLines(tincanPort, socket, receive, notify, log);
  }

  /** Where tincan shall send notifications. */
  get notificationPort(): number {
    return this.#notifications.address().port;
  }

  send(client: Endpoint, datagram: Uint8Array): void {
    if (!this.#isClosed) this.#lineOf(client).socket.send(datagram, this.#tincanPort, LOOPBACK);
  }

  close(): void {
    this.#isClosed = true;
    for (const { socket } of this.#lines.values()) socket.close();
    this.#lines.clear();
    this.#notifications.close();
  }

  #lineOf(client: Endpoint): Line {
    const key = `${client.address} ${client.port}`;
    const line = this.#lines.get(key) ?? this.#newLine();
    // What comes back is in the form of what was asked.
    line.client = client;
    this.#lines.delete(key);
    this.#lines.set(key, line);
    return line;
  }

  #newLine(): Line {
    const [oldest] = this.#lines;
    if (oldest !== undefined && this.#lines.size >= MAX_LINES) {
      this.counters.gateway_lines_dropped++;
      this.#lines.delete(oldest[0]);
      oldest[1].socket.close();
    }
    const socket = createSocket('udp4');
    const line: Line = { socket, client: { address: LOOPBACK, port: 0, form: 2 } };
    // What is sent before it is bound waits for that.
    socket.bind({ address: LOOPBACK, port: 0 });
    this.#listen(socket, (datagram) => this.#receive(line.client, datagram));
    return line;
  }

  #listen(socket: Socket, receive: (datagram: Buffer) => void): void {
    socket.on('message', (datagram, from) => {
      if (this.#isTincan(from)) receive(datagram);
      else this.counters.gateway_dropped_strange++;
    });
    socket.on('error', (error) => this.#log.warn({ err: error }, `line to tincan: ${describeError(error)}`));
  }

  #isTincan({ address, port }: RemoteInfo): boolean {
    return address === LOOPBACK && port === this.#tincanPort;
  }
}
