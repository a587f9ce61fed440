import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { Timers } from '@kith/base';
import {
  decodeBindingResponse,
  encodeBindingRequest,
  type IceServer,
  STUN_TRANSACTION_BYTES,
} from '@kith/protocol';
import { resolveHost } from './resolve-host.ts';

/** When each server is asked: once more where the first datagram or its answer was lost (half of RFC 8489's 500 ms: nobody waits for more). */
const ASK_AT_MS = [0, 200];

/** A server that has not answered by then is no better than one that is down: 400 ms is a round trip around the world. */
const WAIT_MS = 400;

/** Servers asked at once. */
const MAX_ASKED = 16;

/**
 * The STUN server that ICE is to ask: libjuice asks one, also one that is down. Of several all are asked by UDP, and the first that answers
 * is taken; the first of the list where none does within 400 ms. Never rejects.
 */
export async function firstStunServer(servers: readonly IceServer[]): Promise<IceServer | undefined> {
  const stun = servers.filter(({ type }) => type === 'stun').slice(0, MAX_ASKED);
  const places = new Set(stun.map(({ host, port }) => `${host} ${port}`));
  if (places.size < 2) return stun[0];
  return (await new Promise<IceServer | undefined>((done) => new Round(stun, done).begin())) ?? stun[0];
}

class Round {
  readonly #servers: readonly { server: IceServer; transaction: Buffer }[];
  readonly #done: (first: IceServer | undefined) => void;
  readonly #timers = new Timers();
  readonly #sockets = new Map<number, Socket>();
  #isOver = false;

  constructor(servers: readonly IceServer[], done: (first: IceServer | undefined) => void) {
    this.#done = done;
    this.#servers = servers.map((server) => ({ server, transaction: randomBytes(STUN_TRANSACTION_BYTES) }));
  }

  begin(): void {
    this.#timers.after('end', WAIT_MS, () => this.#end(undefined));
    for (const { server, transaction } of this.#servers) {
      resolveHost(server.host).then(
        ([address]) => this.#ask(server, transaction, address),
        // A name that is not known is as good as a server that does not answer.
        () => undefined,
      );
    }
  }

  #ask({ port }: IceServer, transaction: Buffer, address: string | undefined): void {
    if (address === undefined || this.#isOver) return;
    const id = transaction.toString('hex');
    for (const at of ASK_AT_MS) {
      this.#timers.after(`${id} ${at}`, at, () =>
        this.#socket(address).send(encodeBindingRequest(transaction), port, address),
      );
    }
  }

  #socket(address: string): Socket {
    const family = address.includes(':') ? 6 : 4;
    const known = this.#sockets.get(family);
    if (known !== undefined) return known;
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    this.#sockets.set(family, socket);
    // No route, no such family: no answer.
    socket.on('error', () => undefined);
    socket.on('message', (data) => this.#receive(data));
    return socket;
  }

  #receive(data: Uint8Array): void {
    const response = decodeBindingResponse(data);
    const of = this.#servers.find(({ transaction }) => transaction.toString('hex') === response?.transaction);
    if (of !== undefined) this.#end(of.server);
  }

  #end(first: IceServer | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timers.clearAll();
    for (const socket of this.#sockets.values()) socket.close();
    this.#done(first);
  }
}
