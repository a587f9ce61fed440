import { idleMoment } from '@kith/base';
import { decodeBindingResponse, encodeBindingRequest, STUN_TRANSACTION_BYTES } from '@kith/protocol';
import type { Address } from './direct-port.ts';
import { addressText } from './path-set.ts';

/** RFC 8489 §6.2.1: RTO of 500 ms that doubles; the RFC's seven tries are for those who have nothing else to do meanwhile. */
const RETRY_MS = [500, 1_000, 2_000];

/** Between two rounds at most: keeps the mapping alive behind NATs that forget after 30 s, and notices when it changes. */
const REFRESH_MS = 25_000;

/** A mapped address that no answer has confirmed in two rounds is gone. */
const MAPPED_LIFE_MS = 60_000;

/** Servers asked by one node; each can only say the same. */
const MAX_SERVERS = 8;

interface Server {
  address: Address;
  /** Hex of the request under way; empty: none. */
  transaction: string;
  tries: number;
  nextAt: number;
  mapped: Address | null;
  mappedAt: number;
  /** A whole round was not answered, nor anything since. */
  isSilent: boolean;
}

/** What one server makes of our socket. */
export interface ServerView {
  server: Address;
  /** Where it saw the last request come from; null: it has not answered for two rounds. */
  mapped: Address | null;
  isOverdue: boolean;
}

export interface StunClientActions {
  send(to: Address, request: Uint8Array): void;
  /** Unpredictable bytes. */
  randomBytes(length: number): Uint8Array;
}

/** Asks STUN servers how they see the socket that carries data. Pure but for its random numbers; times in ms. */
export class StunClient {
  readonly #actions: StunClientActions;
  #servers: Server[] = [];

  constructor(actions: StunClientActions) {
    this.#actions = actions;
  }

  /** The servers to ask; those that are known already keep their state. */
  setServers(list: readonly Address[], now: number): void {
    const known = new Map(this.#servers.map((server) => [addressText(server.address), server]));
    const wanted = new Map(list.map((address) => [addressText(address), address]));
    this.#servers = [...wanted.entries()].slice(0, MAX_SERVERS).map(
      ([key, address]) =>
        known.get(key) ?? {
          address,
          transaction: '',
          tries: 0,
          nextAt: now,
          mapped: null,
          mappedAt: Number.NEGATIVE_INFINITY,
          isSilent: false,
        },
    );
  }

  /** Our addresses as the servers see them, each once. */
  mapped(now: number): Address[] {
    const all = new Map<string, Address>();
    for (const { mapped, mappedAt } of this.#servers) {
      if (mapped !== null && now - mappedAt < MAPPED_LIFE_MS) all.set(addressText(mapped), mapped);
    }
    return [...all.values()];
  }

  /** What each server says. */
  views(now: number): ServerView[] {
    return this.#servers.map(({ address, mapped, mappedAt, isSilent }) => ({
      server: address,
      mapped: !isSilent && now - mappedAt < MAPPED_LIFE_MS ? mapped : null,
      isOverdue: isSilent,
    }));
  }

  /** A datagram that looks like STUN. False when it answers nothing that was asked. */
  receive(data: Uint8Array, from: Address, now: number): boolean {
    const response = decodeBindingResponse(data);
    if (response === undefined) return false;
    const key = addressText(from);
    const server = this.#servers.find(
      ({ address, transaction }) => transaction === response.transaction && addressText(address) === key,
    );
    if (server === undefined) return false;
    server.transaction = '';
    server.tries = 0;
    server.isSilent = false;
    server.nextAt = idleMoment(now + REFRESH_MS);
    if (response.mapped !== null) {
      server.mapped = response.mapped;
      server.mappedAt = now;
    }
    return true;
  }

  /** Our own addresses changed: ask again now. */
  restart(now: number): void {
    for (const server of this.#servers) {
      server.tries = 0;
      server.isSilent = false;
      server.nextAt = now;
    }
  }

  /** Sends what is due. Returns when it wants to be called again. */
  tick(now: number): number {
    let due = Number.POSITIVE_INFINITY;
    for (const server of this.#servers) {
      if (now >= server.nextAt) this.#ask(server, now);
      due = Math.min(due, server.nextAt);
    }
    return due;
  }

  #ask(server: Server, now: number): void {
    const wait = RETRY_MS[server.tries];
    if (wait === undefined) {
      server.tries = 0;
      server.transaction = '';
      server.isSilent = true;
      server.nextAt = idleMoment(now + REFRESH_MS);
      return;
    }
    if (server.tries === 0) {
      server.transaction = Buffer.from(this.#actions.randomBytes(STUN_TRANSACTION_BYTES)).toString('hex');
    }
    server.tries++;
    server.nextAt = now + wait;
    this.#actions.send(server.address, encodeBindingRequest(Buffer.from(server.transaction, 'hex')));
  }
}
