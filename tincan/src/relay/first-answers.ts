import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { Timers } from '@kith/base';
import {
  decodeBindingResponse,
  encodeBindingRequest,
  type IceServer,
  STUN_TRANSACTION_BYTES,
} from '@kith/protocol';

/** When each server is asked: once more where the first datagram or its answer was lost (half of RFC 8489's 500 ms: nobody waits for more). */
const ASK_AT_MS = [0, 200];

/** A server that has not answered by then is no better than one that is down: 400 ms is a round trip around the world. */
const WAIT_MS = 400;

/** Servers asked at once. */
const MAX_ASKED = 16;

/**
 * Asks servers by UDP, all at once, and puts those that answer before those that do not, the quickest first. Ends as soon as one STUN
 * and one TURN server have answered, as far as there are such; takes 400 ms at most. TURN servers answer a Binding request as STUN
 * servers do (RFC 8656 §5). Never rejects: where nothing can be asked the order stays.
 */
export function firstAnswers(servers: readonly IceServer[]): Promise<IceServer[]> {
  return new Promise((resolve) => {
    const round = new Round(servers.slice(0, MAX_ASKED), (answered) =>
      resolve([...answered, ...servers.filter((server) => !answered.includes(server))]),
    );
    round.begin();
  });
}

class Round {
  readonly #servers: readonly { server: IceServer; transaction: Buffer }[];
  readonly #done: (answered: IceServer[]) => void;
  readonly #timers = new Timers();
  readonly #sockets = new Map<number, Socket>();
  readonly #answered: IceServer[] = [];
  readonly #missing: Set<IceServer['type']>;
  #isOver = false;

  constructor(servers: readonly IceServer[], done: (answered: IceServer[]) => void) {
    this.#done = done;
    this.#servers = servers.map((server) => ({ server, transaction: randomBytes(STUN_TRANSACTION_BYTES) }));
    this.#missing = new Set(servers.map(({ type }) => type));
  }

  begin(): void {
    if (this.#missing.size === 0) {
      this.#end();
      return;
    }
    this.#timers.after('end', WAIT_MS, () => this.#end());
    for (const { server, transaction } of this.#servers) {
      lookup(server.host).then(
        ({ address, family }) => {
          for (const at of ASK_AT_MS) {
            this.#later(`${transaction.toString('hex')} ${at}`, at, () => {
              if (this.#answered.includes(server)) return;
              this.#socket(family).send(encodeBindingRequest(transaction), server.port, address);
            });
          }
        },
        // A name that is not known is as good as a server that does not answer.
        () => undefined,
      );
    }
  }

  #later(name: string, delayMs: number, action: () => void): void {
    if (!this.#isOver) this.#timers.after(name, delayMs, action);
  }

  #socket(family: number): Socket {
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
    if (this.#isOver || of === undefined || this.#answered.includes(of.server)) return;
    this.#answered.push(of.server);
    this.#missing.delete(of.server.type);
    if (this.#missing.size === 0) this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#timers.clearAll();
    for (const socket of this.#sockets.values()) socket.close();
    this.#done(this.#answered);
  }
}
