/** Counters of XEP-0198 are unsigned 32-bit numbers that wrap (XEP-0198 §4). */
const WRAP = 2 ** 32;

interface Unacked<T> {
  stanza: T;
  bytes: number;
}

export interface StreamLimits {
  /** Stanzas that may wait for the server's acknowledgement. */
  stanzas: number;
  bytes: number;
}

/**
 * One session of XEP-0198 as both ends count it: what came in, and what went out and is not acknowledged yet. It outlives the
 * connection on which it began. Pure bookkeeping: the caller moves the stanzas.
 */
export class StreamManagement<T> {
  /** Id with which the session can be resumed; null if the server keeps none. */
  readonly id: string | null;
  readonly #limits: StreamLimits;
  readonly #unacked: Unacked<T>[] = [];
  #bytes = 0;
  #acked = 0;
  #inbound = 0;

  constructor(id: string | null, limits: StreamLimits) {
    this.id = id;
    this.#limits = limits;
  }

  /** The `h` that we tell: stanzas received in this session, modulo 2^32. */
  get inbound(): number {
    return this.#inbound;
  }

  /** Stanzas sent and not acknowledged, oldest first. */
  get unacked(): T[] {
    return this.#unacked.map((entry) => entry.stanza);
  }

  /** Size of what is not acknowledged. */
  get unackedBytes(): number {
    return this.#bytes;
  }

  received(): void {
    this.#inbound = (this.#inbound + 1) % WRAP;
  }

  /** Notes a stanza that goes out. False if the bounds are reached: nothing was noted, the session cannot be kept. */
  sent(stanza: T, bytes: number): boolean {
    if (this.#unacked.length >= this.#limits.stanzas || this.#bytes + bytes > this.#limits.bytes)
      return false;
    this.#unacked.push({ stanza, bytes });
    this.#bytes += bytes;
    return true;
  }

  /** Takes the server's `h`. False if it is no number, or counts what was never sent: the two ends disagree. */
  acked(h: string | undefined): boolean {
    if (h === undefined || !/^[0-9]{1,10}$/.test(h)) return false;
    const count = (Number(h) - this.#acked + WRAP) % WRAP;
    if (Number(h) >= WRAP || count > this.#unacked.length) return false;
    for (const entry of this.#unacked.splice(0, count)) this.#bytes -= entry.bytes;
    this.#acked = Number(h);
    return true;
  }
}
