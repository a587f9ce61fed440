import { EventEmitter } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import type { TLSSocket } from 'node:tls';
import { PeerError } from '@kith/base';
import type WebSocket from 'ws';

/**
 * A connected and encrypted byte stream to the hub, in the shape that @xmpp/client expects of its sockets. Events: `data` (string),
 * `error` (Error), and `close`, always the last.
 */
export interface HubSocket extends EventEmitter {
  /** @xmpp/client asks this before it sends credentials. No insecure socket is ever made here. */
  readonly secure: true;
  /** Bytes accepted by `write` that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /** This end's IP address, where it is known. */
  readonly localAddress: string | undefined;
  /** The other end's, where it is known. */
  readonly remoteAddress: string | undefined;
  write(text: string, done?: (error?: Error | null) => void): void;
  /** Sends what is buffered, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** `HubSocket` over TLS. */
export class TlsHubSocket extends EventEmitter implements HubSocket {
  readonly secure = true;
  readonly #socket: TLSSocket;

  /** @param socket a socket whose handshake is done and whose certificate was accepted */
  constructor(socket: TLSSocket) {
    super();
    this.#socket = socket;
    // A character of several bytes may be split over two TLS records; the decoder keeps the first part for the second.
    const decoder = new StringDecoder('utf8');
    socket.on('data', (chunk: Buffer) => this.emit('data', decoder.write(chunk)));
    socket.on('error', (error) => this.emit('error', error));
    socket.on('end', () => socket.end());
    socket.on('close', () => this.emit('close'));
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  write(text: string, done?: (error?: Error | null) => void): void {
    this.#socket.write(text, done);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** `HubSocket` over a WebSocket (RFC 7395: one element per text message). */
export class WebHubSocket extends EventEmitter implements HubSocket {
  readonly secure = true;
  /** ws does not show its socket. */
  readonly localAddress = undefined;
  readonly remoteAddress = undefined;
  readonly #socket: WebSocket;

  /** @param socket an open `wss://` WebSocket with the subprotocol `xmpp` */
  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      // RFC 7395 §3.2: all messages are text.
      if (isBinary)
        this.emit('error', new PeerError('XMPP_PROTOCOL', 'the hub sent a binary WebSocket message'));
      else this.emit('data', data.toString('utf8'));
    });
    socket.on('error', (error) => this.emit('error', error));
    socket.on('close', () => this.emit('close'));
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  write(text: string, done?: (error?: Error | null) => void): void {
    this.#socket.send(text, (error) => done?.(error));
  }

  end(): void {
    this.#socket.close(1000);
  }

  destroy(): void {
    this.#socket.terminate();
  }
}
