import { encodeTurnRequest, STUN_TRANSACTION_BYTES, type TurnAuth, type TurnRequest } from '@kith/protocol';

/** RFC 8489 §6.2.1 begins with 500 ms; a relay's first answer is waited for, so that a lost one should cost less. Doubled each time. */
const FIRST_RETRY_MS = 300;
const MAX_TRIES = 4;

/** A binding for each peer that wants a relay, and what the allocation itself asks; more wait for nothing. */
const MAX_TRANSACTIONS = 128;

/** A new realm or nonce is taken this often for one request; a server that goes on asking is not one. */
const MAX_CHALLENGES = 3;

export type Asked = Omit<TurnRequest, 'transaction' | 'auth'>;

export interface Transaction {
  /** Hex. */
  id: string;
  asked: Asked;
  /** The key that its answer has to be proved with; undefined: it was sent without. */
  key: Uint8Array | undefined;
  challenges: number;
}

interface Flight extends Transaction {
  bytes: Uint8Array;
  tries: number;
  nextAt: number;
}

/** Requests to a TURN server that wait for their answer: sent again while there is none, bounded. Pure; times in ms. */
export class TurnTransactions {
  readonly #send: (request: Uint8Array) => void;
  readonly #randomBytes: (length: number) => Uint8Array;
  readonly #flights = new Map<string, Flight>();

  constructor(send: (request: Uint8Array) => void, randomBytes: (length: number) => Uint8Array) {
    this.#send = send;
    this.#randomBytes = randomBytes;
  }

  /** Sends a request now; false when too many are under way. `after`: the one that was challenged. */
  ask(asked: Asked, auth: TurnAuth | undefined, now: number, after?: Transaction): boolean {
    const challenges = after === undefined ? 0 : after.challenges + 1;
    if (this.#flights.size >= MAX_TRANSACTIONS || challenges > MAX_CHALLENGES) return false;
    const transaction = this.#randomBytes(STUN_TRANSACTION_BYTES);
    const id = Buffer.from(transaction).toString('hex');
    const bytes = encodeTurnRequest({ ...asked, transaction, ...(auth === undefined ? {} : { auth }) });
    const flight = { id, asked, key: auth?.key, challenges, bytes, tries: 1, nextAt: now + FIRST_RETRY_MS };
    this.#flights.set(id, flight);
    this.#send(bytes);
    return true;
  }

  /** The request that an answer names; undefined: none. It waits on until `done`. */
  get(id: string): Transaction | undefined {
    return this.#flights.get(id);
  }

  done(id: string): void {
    this.#flights.delete(id);
  }

  clear(): void {
    this.#flights.clear();
  }

  /** Sends again what is due. Gives what nobody answered. */
  tick(now: number): Transaction[] {
    const given: Transaction[] = [];
    for (const flight of this.#flights.values()) {
      if (now < flight.nextAt) continue;
      if (flight.tries >= MAX_TRIES) {
        this.#flights.delete(flight.id);
        given.push(flight);
        continue;
      }
      flight.nextAt = now + FIRST_RETRY_MS * 2 ** flight.tries;
      flight.tries++;
      this.#send(flight.bytes);
    }
    return given;
  }

  get dueAt(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { nextAt } of this.#flights.values()) due = Math.min(due, nextAt);
    return due;
  }
}
