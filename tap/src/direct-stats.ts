import { SOCKADDR_BYTES } from '@kith/posix';

/** Links that can have a direct carrier at once; a node with more keeps the others on their channel. */
export const DIRECT_LINKS = 1024;

/**
 * A slot of shared memory per link, as doubles. Each half has one writer; 128 bytes apart, because adjacent-line prefetch makes two
 * cache lines one unit that two writing threads would take from each other.
 */
const SLOT_DOUBLES = 32;
const INGRESS_DOUBLE = 16;
const BYTES_PER_DOUBLE = 8;

// Egress half
export const TX_BYTES = 0;
export const TX_DATAGRAMS = 1;
export const SENT_SINCE_REKEY = 2;
/** Frames to one station; what goes to everybody tells nothing of a link's use. */
export const TX_UNICAST = 3;
// Ingress half
export const RX_BYTES = INGRESS_DOUBLE;
export const RX_DATAGRAMS = INGRESS_DOUBLE + 1;
export const LAST_RECEIVED_MS = INGRESS_DOUBLE + 2;
export const FORGED = INGRESS_DOUBLE + 3;
export const REPLAYED = INGRESS_DOUBLE + 4;
/** Datagrams with a frame to one station in them. */
export const RX_UNICAST = INGRESS_DOUBLE + 5;
/** A 32-bit word that is odd while the source is being written, then the sockaddr. */
const SOURCE_SEQUENCE = INGRESS_DOUBLE + 8;
const SOURCE = INGRESS_DOUBLE + 9;
/** Behind the sockaddr's 28 bytes: the channel of the TURN server that it names, or 0. */
const CHANNEL = INGRESS_DOUBLE + 13;

/** Behind all slots, a 32-bit word: 1 while the main thread waits for the next use of any link. */
const AWAITED = DIRECT_LINKS * SLOT_DOUBLES * 2;

/** How often a torn source is read again; its writer needs nanoseconds. */
const MAX_RETRIES = 100;

/** Statistics of all links' direct carriers in shared memory: the workers write, the main thread reads. */
export class DirectStats {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory = new SharedArrayBuffer((DIRECT_LINKS + 1) * SLOT_DOUBLES * BYTES_PER_DOUBLE)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  get(slot: number, field: number): number {
    return this.#values[slot * SLOT_DOUBLES + field] ?? 0;
  }

  set(slot: number, field: number, value: number): void {
    this.#values[slot * SLOT_DOUBLES + field] = value;
  }

  add(slot: number, field: number, amount: number): void {
    const index = slot * SLOT_DOUBLES + field;
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  /** Counts a use of the link in TX_UNICAST or RX_UNICAST, and wakes whoever waits for one. */
  use(slot: number, field: number): void {
    this.add(slot, field, 1);
    // A plain read costs the loop next to nothing; one that is stale is made good by the next frame.
    if (this.#words[AWAITED] === 1) this.#tellUse();
  }

  #tellUse(): void {
    Atomics.store(this.#words, AWAITED, 0);
    Atomics.notify(this.#words, AWAITED);
  }

  /** Settles at the next use() by either worker, or after endWait(). The main thread only, once at a time. */
  async nextUse(): Promise<void> {
    Atomics.store(this.#words, AWAITED, 1);
    await Atomics.waitAsync(this.#words, AWAITED, 1).value;
  }

  endWait(): void {
    this.#tellUse();
  }

  /** Zeroes the half that the calling worker writes. */
  clear(slot: number, half: 'egress' | 'ingress'): void {
    const first = slot * SLOT_DOUBLES + (half === 'egress' ? 0 : INGRESS_DOUBLE);
    this.#values.fill(0, first, first + INGRESS_DOUBLE);
  }

  /** Notes where the last genuine datagram came from, when that changed. The ingress worker only. */
  setSource(slot: number, sockaddr: Uint8Array, channel: number): void {
    const at = (slot * SLOT_DOUBLES + SOURCE) * BYTES_PER_DOUBLE;
    if (this.get(slot, CHANNEL) === channel && this.#isSource(at, sockaddr)) return;
    const sequence = (slot * SLOT_DOUBLES + SOURCE_SEQUENCE) * 2;
    Atomics.add(this.#words, sequence, 1);
    for (let index = 0; index < SOCKADDR_BYTES; index++) this.#bytes[at + index] = sockaddr[index] ?? 0;
    this.set(slot, CHANNEL, channel);
    Atomics.add(this.#words, sequence, 1);
  }

  /** Where the last genuine datagram came from; undefined when there was none. `channel`: 0, or of the TURN server that the sockaddr names. */
  source(slot: number): { sockaddr: Uint8Array; channel: number } | undefined {
    const at = (slot * SLOT_DOUBLES + SOURCE) * BYTES_PER_DOUBLE;
    const sequence = (slot * SLOT_DOUBLES + SOURCE_SEQUENCE) * 2;
    for (let tries = 0; tries < MAX_RETRIES; tries++) {
      const before = Atomics.load(this.#words, sequence);
      const sockaddr = this.#bytes.slice(at, at + SOCKADDR_BYTES);
      const channel = this.get(slot, CHANNEL);
      if ((before & 1) === 0 && Atomics.load(this.#words, sequence) === before) {
        return sockaddr[0] === 0 && sockaddr[1] === 0 ? undefined : { sockaddr, channel };
      }
    }
    return undefined;
  }

  #isSource(at: number, sockaddr: Uint8Array): boolean {
    for (let index = 0; index < SOCKADDR_BYTES; index++) {
      if (this.#bytes[at + index] !== sockaddr[index]) return false;
    }
    return true;
  }
}
