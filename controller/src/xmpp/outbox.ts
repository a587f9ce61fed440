/** A request that waits to be sent, or for its answer. */
export interface Outgoing<T> {
  id: string;
  /** Who has to answer. */
  to: string;
  stanza: T;
  bytes: number;
  /** Time, on the caller's clock, after which nobody wants the answer. */
  deadline: number;
}

export interface OutboxLimits {
  entries: number;
  bytes: number;
}

/**
 * Requests on their way: first waiting in order, then in flight until answered, expired, or put back because the session was
 * lost. Each request that was taken in leaves exactly once, by `settle`, `expire` or `clear`. Pure: time is passed in.
 */
export class Outbox<E extends Outgoing<unknown>> {
  readonly #limits: OutboxLimits;
  #waiting: E[] = [];
  readonly #flying = new Map<string, E>();
  #bytes = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#waiting.length + this.#flying.size;
  }

  /** False if full: the entry was not taken. */
  add(entry: E): boolean {
    if (this.size >= this.#limits.entries || this.#bytes + entry.bytes > this.#limits.bytes) return false;
    this.#bytes += entry.bytes;
    this.#waiting.push(entry);
    return true;
  }

  /** The next entry to send, if it is no larger than `windowBytes`; from now on it is in flight. */
  next(windowBytes: number): E | undefined {
    const [entry] = this.#waiting;
    if (entry === undefined || entry.bytes > windowBytes) return undefined;
    this.#waiting.shift();
    this.#flying.set(entry.id, entry);
    return entry;
  }

  /** An answer with this id came from `from`: the entry that it settles, or undefined if it settles none. */
  settle(id: string, from: string): E | undefined {
    const entry = this.#flying.get(id);
    // An id can be guessed; the sender's address is stamped by the hub.
    if (entry === undefined || entry.to !== from) return undefined;
    this.#flying.delete(id);
    this.#bytes -= entry.bytes;
    return entry;
  }

  /** The session is gone: all in flight goes back to the head of the queue, in order. Returns how many. */
  requeue(): number {
    const count = this.#flying.size;
    this.#waiting = [...this.#flying.values(), ...this.#waiting];
    this.#flying.clear();
    return count;
  }

  /** Takes out and returns what is past its deadline. */
  expire(now: number): E[] {
    return this.#remove((entry) => entry.deadline <= now);
  }

  /** Takes out and returns everything. */
  clear(): E[] {
    return this.#remove(() => true);
  }

  /** The earliest deadline, Infinity if there is none. */
  nextDeadline(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const entry of this.#flying.values()) earliest = Math.min(earliest, entry.deadline);
    for (const entry of this.#waiting) earliest = Math.min(earliest, entry.deadline);
    return earliest;
  }

  #remove(which: (entry: E) => boolean): E[] {
    const out = [...this.#flying.values(), ...this.#waiting].filter(which);
    for (const entry of out) {
      this.#flying.delete(entry.id);
      this.#bytes -= entry.bytes;
    }
    const gone = new Set(out);
    this.#waiting = this.#waiting.filter((entry) => !gone.has(entry));
    return out;
  }
}
