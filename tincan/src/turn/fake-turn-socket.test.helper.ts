import { createSocket, type Socket } from 'node:dgram';
import type { Endpoint } from '../endpoint.ts';
import { FakeTurn } from './fake-turn.test.helper.ts';

/** A FakeTurn at a port on loopback. What its clients send to peers is kept; what peers send is the test's to say. */
export class FakeTurnSocket {
  readonly turn: FakeTurn;
  readonly port: number;
  /** What peers were sent. */
  readonly passed: { peer: Endpoint; text: string }[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
    const address = { ip: '127.0.0.1', port: this.port };
    this.turn = new FakeTurn(address, (from, to, data) => {
      if (from.port === this.port) socket.send(data, to.port, to.ip);
      else this.passed.push({ peer: to, text: Buffer.from(data).toString() });
    });
    socket.on('message', (data, { address: ip, port }) => this.turn.receive(address, { ip, port }, data));
  }

  static listen(): Promise<FakeTurnSocket> {
    return new Promise((resolve) => {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1', () => resolve(new FakeTurnSocket(socket)));
    });
  }

  /** A peer sends to the only allocation that there is. */
  fromPeer(peer: Endpoint, text: string): void {
    for (const { relayed } of this.turn.allocations.values()) {
      this.turn.receive(relayed, peer, Buffer.from(text));
    }
  }

  close(): void {
    this.#socket.close();
  }
}
