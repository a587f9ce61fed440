import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { ended, type Host, type Lab } from '../lab/index.ts';

/**
 * Joins a Unix socket, which any namespace can reach, to a TCP port of the host on which it runs. Arguments: socket, address, port.
 */
const RELAY = `
const net = require('node:net');
const [path, host, port] = process.argv.slice(1);
net.createServer({ allowHalfOpen: true }, (near) => {
  const far = net.connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true });
  for (const [one, other] of [[near, far], [far, near]]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
    one.pipe(other);
  }
}).listen(path, () => process.stdout.write('ready'));
`;

interface Pair {
  near: Socket;
  far: Socket;
}

/** A wire from this process to a port of a host in a lab that can be cut, and that can die without a word. */
export class HubWire {
  readonly #relay: ChildProcess;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Bytes that clients sent, all connections together. */
  sent = 0;

  private constructor(relay: ChildProcess, server: Server) {
    this.#relay = relay;
    this.#server = server;
  }

  static async open(lab: Lab, host: Host, port: number): Promise<HubWire> {
    const path = join(await lab.directory('wire'), `${host.name}-${port}.sock`);
    const relay = host.spawn(process.execPath, ['-e', RELAY, path, host.ip4, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (relay.stdout !== null) await once(relay.stdout, 'data');
    const server = createServer();
    const wire = new HubWire(relay, server);
    server.on('connection', (near) => wire.#join(near, connect(path)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return wire;
  }

  /** Where clients find the other end. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the wire has no port');
    return `127.0.0.1:${address.port}`;
  }

  /** Connections that go through now. */
  get count(): number {
    return this.#pairs.size;
  }

  #join(near: Socket, far: Socket): void {
    const pair = { near, far };
    this.#pairs.add(pair);
    const drop = () => {
      if (!this.#pairs.delete(pair)) return;
      near.destroy();
      far.destroy();
    };
    near.on('data', (data) => {
      this.sent += data.length;
      if (this.#pairs.has(pair)) far.write(data);
    });
    far.on('data', (data) => {
      if (this.#pairs.has(pair)) near.write(data);
    });
    // A pair of which the client's end was cut lives on until the hub ends it.
    far.on('close', () => near.destroy());
    for (const socket of [near, far]) socket.on('error', drop).on('close', drop);
  }

  /** Breaks every connection: both ends see it at once. */
  cut(): void {
    for (const { near, far } of [...this.#pairs]) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Breaks every connection for the client only: the hub goes on writing into a connection that nobody reads any more. */
  cutClient(): void {
    for (const pair of [...this.#pairs]) {
      this.#pairs.delete(pair);
      pair.near.resetAndDestroy();
    }
  }

  /** From now on nothing passes on the connections that are there, and nobody is told. New ones work. */
  freeze(): void {
    this.#pairs.clear();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    this.#relay.kill();
    await ended(this.#relay);
  }
}
