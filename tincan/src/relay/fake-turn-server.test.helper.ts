import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Deframer, toStream } from './stream-framing.ts';

/** A server that speaks the framing of TURN on streams and nothing else of it: what comes in is for the test to answer. */
export class FakeTurnServer {
  readonly #server: Server;
  readonly #streams = new Set<Socket>();
  readonly received: Buffer[] = [];
  connections = 0;
  /** What is answered to a message; undefined: nothing. */
  answer: (message: Buffer) => Uint8Array | undefined = () => undefined;

  private constructor(tls: { cert: string; key: string } | undefined) {
    const serve = (stream: Socket): void => this.#serve(stream);
    this.#server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  }

  static async listen(tls?: { cert: string; key: string }): Promise<FakeTurnServer> {
    const server = new FakeTurnServer(tls);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Sends to all clients, unframed. */
  sendRaw(bytes: Uint8Array): void {
    for (const stream of this.#streams) stream.write(bytes);
  }

  /** Ends all connections as a server that is restarted does. */
  breakAll(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** Reads nothing more, so that the senders' buffers fill. */
  stall(): void {
    for (const stream of this.#streams) stream.pause();
  }

  resume(): void {
    for (const stream of this.#streams) stream.resume();
  }

  close(): Promise<void> {
    this.breakAll();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #serve(stream: Socket): void {
    this.connections++;
    this.#streams.add(stream);
    stream.on('error', () => undefined);
    stream.on('close', () => this.#streams.delete(stream));
    const deframer = new Deframer((message) => {
      this.received.push(Buffer.from(message));
      const answer = this.answer(Buffer.from(message));
      const framed = answer === undefined ? undefined : toStream(answer);
      if (framed !== undefined) stream.write(framed);
    });
    stream.on('data', (chunk: Buffer) => void deframer.push(chunk));
  }
}
