import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { describeError, SLOW_ADDRESSES } from '@kith/base';
import { Deframer, toStream } from './stream-framing.ts';

/**
 * Bytes that may wait in this process for the stream. They are a tunnel's: what waits longer is of no use to anyone and only teaches
 * TCP inside that the path is slow. 64 KiB are 50 ms at 10 Mbit/s.
 */
const MAX_WAITING_BYTES = 65_536;

/** TCP's own probes of an idle stream (RFC 9293 §3.8.4): NATs forget a TCP connection that is silent for long. */
const KEEPALIVE_MS = 25_000;

export interface StreamServer {
  host: string;
  port: number;
  transport: 'tcp' | 'tls';
}

export interface StreamEvents {
  /** The stream is up, over TLS with the server's certificate verified. */
  open(): void;
  /** A message of the server; its bytes are valid during the call only. */
  message(message: Uint8Array): void;
  /** The stream ended, or never began; called once, not after `close`. */
  ended(reason: string): void;
}

export function serverText({ host, port, transport }: StreamServer): string {
  return `${transport} ${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** One TCP or TLS connection to a TURN server, whole datagrams in and out. */
export class StreamConnection {
  readonly #events: StreamEvents;
  readonly #socket: Socket;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isClosed = false;

  constructor(server: StreamServer, trusted: () => SecureContext, events: StreamEvents) {
    this.#events = events;
    const { host, port, transport } = server;
    // RFC 6066 §3: no address may stand in SNI. The certificate is checked against `host` either way.
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket =
      transport === 'tls'
        ? connectTls({ host, port, secureContext: trusted(), ...name, ...SLOW_ADDRESSES })
        : connectTcp({ host, port, ...SLOW_ADDRESSES });
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => {
      if (!this.#isClosed) events.open();
    });
    const deframer = new Deframer((message) => {
      if (!this.#isClosed) events.message(message);
    });
    socket.on('data', (chunk: Buffer) => {
      if (!this.#isClosed && !deframer.push(chunk)) this.#end('the server says something that is not TURN');
    });
    socket.on('error', (error) => this.#end(describeError(error)));
    socket.on('close', () => this.#end('the server closed the connection'));
  }

  /** Sends a datagram; `congested`: dropped since too much waits already, `malformed`: it is not a TURN client's. */
  send(datagram: Uint8Array): 'sent' | 'congested' | 'malformed' {
    const framed = toStream(datagram);
    if (framed === undefined) return 'malformed';
    const waiting = this.#waitingBytes + this.#socket.writableLength;
    if (this.#isClosed || waiting + framed.length > MAX_WAITING_BYTES) return 'congested';
    // One write, and under TLS one record, for all that came by one turn of the event loop.
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    this.#waiting.push(framed);
    this.#waitingBytes += framed.length;
    return 'sent';
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#socket.destroy();
  }

  #flush(): void {
    const [first, ...others] = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (first === undefined || this.#isClosed) return;
    this.#socket.write(others.length === 0 ? first : Buffer.concat([first, ...others]));
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#events.ended(reason);
  }
}
