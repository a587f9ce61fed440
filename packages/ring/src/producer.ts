import {
  HEAD_WORD,
  HEADER_BYTES,
  REJECTED_WORD,
  type RingMemory,
  recordBytes,
  SKIP,
  SLEEP_WORD,
  TAIL_WORD,
  viewsOf,
} from './layout.ts';

/**
 * The writing end of a ring; exactly one may exist. Write with reserve + commit (in place) or push (a copy), as many records as
 * wanted, then publish() once: before that the consumer sees none of them.
 */
export class RingProducer {
  /** The data area; reserve() returns offsets into it. */
  readonly bytes: Uint8Array;
  /** The largest payload that a record may have, in bytes: half the ring, so that an empty ring takes it at any position. */
  readonly maxPayload: number;
  readonly #control: Int32Array;
  readonly #headers: Uint32Array;
  readonly #capacity: number;
  /** Where the next record begins, published or not. */
  #tail: number;
  #publishedTail: number;
  /** The consumer's index as last seen: reading it anew costs a cache miss, so that is done only when the ring looks full. */
  #seenHead: number;
  /** Of the pending reservation: where its payload goes (-1: none), its size, and the bytes left unused before the wrap. */
  #payloadAt = -1;
  #reserved = 0;
  #skipped = 0;

  constructor(memory: RingMemory) {
    const views = viewsOf(memory);
    this.bytes = views.bytes;
    this.#control = views.control;
    this.#headers = views.headers;
    this.#capacity = views.capacity;
    this.maxPayload = views.capacity / 2 - HEADER_BYTES;
    this.#tail = Atomics.load(this.#control, TAIL_WORD);
    this.#publishedTail = this.#tail;
    this.#seenHead = Atomics.load(this.#control, HEAD_WORD);
  }

  /**
   * Room for a payload of up to `maxBytes`: the offset in `bytes` at which to write it, or -1 when the ring is full, which is
   * counted. A reservation that is not committed is forgotten by the next one. Throws RangeError beyond maxPayload.
   */
  reserve(maxBytes: number): number {
    if (maxBytes > this.maxPayload || maxBytes < 0) {
      throw new RangeError(`a record of ${maxBytes} bytes does not fit: at most ${this.maxPayload}`);
    }
    const need = recordBytes(maxBytes);
    let position = this.#tail & (this.#capacity - 1);
    const skipped = this.#capacity - position < need ? this.#capacity - position : 0;
    if (!this.#hasRoom(skipped + need)) {
      this.#payloadAt = -1;
      Atomics.add(this.#control, REJECTED_WORD, 1);
      return -1;
    }
    if (skipped > 0) position = 0;
    this.#skipped = skipped;
    this.#payloadAt = position + HEADER_BYTES;
    this.#reserved = maxBytes;
    return this.#payloadAt;
  }

  /**
   * Makes a record of the first `actualBytes` of the reservation. `tag` is an unsigned 32-bit integer.
   * Throws RangeError without a reservation of that size.
   */
  commit(actualBytes: number, tag: number): void {
    if (this.#payloadAt < 0 || actualBytes > this.#reserved || actualBytes < 0) {
      throw new RangeError(
        `cannot commit ${actualBytes} bytes of ${this.#payloadAt < 0 ? 'no' : 'a'} reservation`,
      );
    }
    // Only now: a skip may be published only with a record behind it.
    if (this.#skipped > 0) {
      this.#headers[(this.#capacity - this.#skipped) / 4] = SKIP;
      this.#tail = (this.#tail + this.#skipped) | 0;
    }
    const header = (this.#payloadAt - HEADER_BYTES) / 4;
    this.#headers[header] = actualBytes;
    this.#headers[header + 1] = tag;
    this.#tail = (this.#tail + recordBytes(actualBytes)) | 0;
    this.#payloadAt = -1;
  }

  /** Copies `length` bytes of `data` from `offset` into a record of their own. False when the ring is full, which is counted. */
  push(data: Uint8Array, offset: number, length: number, tag: number): boolean {
    const at = this.reserve(length);
    if (at < 0) return false;
    copyBytes(this.bytes, at, data, offset, length);
    this.commit(length, tag);
    return true;
  }

  /**
   * Lets the consumer see all committed records. True when the consumer sleeps: then the caller must wake it, now.
   * While the consumer is awake this costs no system call.
   */
  publish(): boolean {
    if (this.#tail === this.#publishedTail) return false;
    this.#publishedTail = this.#tail;
    // Store the index, then look at the sleep word; the consumer writes its sleep word, then looks at the index. Atomics are
    // sequentially consistent, so at least one of the two sees the other and no wake-up is lost.
    Atomics.store(this.#control, TAIL_WORD, this.#tail);
    if (Atomics.load(this.#control, SLEEP_WORD) === 0) return false;
    return Atomics.exchange(this.#control, SLEEP_WORD, 0) === 1;
  }

  /** Wakes a consumer that sleeps by sleepAsync(); call it when publish() returned true. */
  wakeSleeper(): void {
    Atomics.notify(this.#control, SLEEP_WORD);
  }

  /** How many reservations were refused since the ring was made (modulo 2^32). */
  get rejected(): number {
    return Atomics.load(this.#control, REJECTED_WORD) >>> 0;
  }

  #hasRoom(bytes: number): boolean {
    if (this.#capacity - ((this.#tail - this.#seenHead) >>> 0) >= bytes) return true;
    this.#seenHead = Atomics.load(this.#control, HEAD_WORD);
    return this.#capacity - ((this.#tail - this.#seenHead) >>> 0) >= bytes;
  }
}

/** Into shared memory TypedArray.set with its subarray beats a loop from here on (Node 20: 64 bytes 60 to 50 ns, 96 bytes 65 to 70). */
const LOOP_COPY_BELOW = 96;

function copyBytes(to: Uint8Array, at: number, from: Uint8Array, offset: number, length: number): void {
  if (length >= LOOP_COPY_BELOW) {
    to.set(offset === 0 && length === from.length ? from : from.subarray(offset, offset + length), at);
    return;
  }
  for (let index = 0; index < length; index++) to[at + index] = from[offset + index] ?? 0;
}
