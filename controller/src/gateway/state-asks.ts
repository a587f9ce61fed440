import { randomBytes } from 'node:crypto';
import { SystemError } from '@kith/base';
import type { JsonObject } from './json-object.ts';

/** tincan answers within milliseconds; more than a second on loopback means that a datagram was lost. */
const ANSWER_MS = 1_000;
/** Questions under way. A controller asks some per minute, each presence of a friend asks one. */
const MAX_OPEN = 256;
/** More peer_state than tincan ever sends: 256 links and 4096 members. */
const MAX_PEERS = 4_352;

/** What tincan said to one get_state. */
export interface StateAnswer {
  local: JsonObject;
  peers: JsonObject[];
}

/** Called once, with the answer or with tincan's own error message, or with SystemError TINCAN_SILENT. */
export type StateReceiver = (answer: StateAnswer | JsonObject | SystemError) => void;

export function isAnswer(answer: StateAnswer | JsonObject | SystemError): answer is StateAnswer {
  return !(answer instanceof SystemError) && 'local' in answer;
}

interface Open {
  local: JsonObject | undefined;
  peers: JsonObject[];
  deadline: number;
  receive: StateReceiver;
}

/**
 * get_state calls to tincan, each known by an id of ours, and their answers: one local_state, then as many peer_state as it names.
 * Pure; times in ms.
 */
export class StateAsks {
  /** Callers choose ids too; theirs must not meet ours. */
  readonly #prefix = randomBytes(8).toString('hex');
  readonly #open = new Map<string, Open>();
  #serial = 0;

  get size(): number {
    return this.#open.size;
  }

  /** The id that the call must bear; undefined when too many are under way. */
  begin(now: number, receive: StateReceiver): string | undefined {
    if (this.#open.size >= MAX_OPEN) return undefined;
    const id = `${this.#prefix}-${this.#serial++}`;
    this.#open.set(id, { local: undefined, peers: [], deadline: now + ANSWER_MS, receive });
    return id;
  }

  /** Takes a message of tincan's; false when it answers none of ours. */
  take(message: JsonObject): boolean {
    const { id, type } = message;
    const open = typeof id === 'string' ? this.#open.get(id) : undefined;
    if (open === undefined || typeof id !== 'string') return false;
    if (type === 'error') {
      this.#open.delete(id);
      open.receive(message);
      return true;
    }
    if (type === 'local_state') open.local = message;
    else if (type === 'peer_state' && open.peers.length < MAX_PEERS) open.peers.push(message);
    const expected = open.local?.peers;
    if (open.local !== undefined && (typeof expected !== 'number' || open.peers.length >= expected)) {
      this.#open.delete(id);
      open.receive({ local: open.local, peers: open.peers });
    }
    return true;
  }

  /** Gives up on what is overdue: a part of an answer is better than none. */
  expire(now: number): void {
    for (const [id, { deadline, local, peers, receive }] of this.#open) {
      if (now < deadline) continue;
      this.#open.delete(id);
      receive(
        local === undefined ? new SystemError('TINCAN_SILENT', 'tincan does not answer') : { local, peers },
      );
    }
  }
}
