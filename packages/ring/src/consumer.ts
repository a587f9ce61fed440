import {
  HEAD_WORD,
  HEADER_BYTES,
  type RingMemory,
  recordBytes,
  SKIP,
  SLEEP_WORD,
  TAIL_WORD,
  viewsOf,
} from './layout.ts';

/**
 * The reading end of a ring; exactly one may exist. peek() shows the oldest record in the fields `offset`, `length` and `tag`;
 * release() gives its place back, and flush() lets the producer have what was released.
 */
export class RingConsumer {
  /** The data area, in which `offset` counts. */
  readonly bytes: Uint8Array;
  /** Where the peeked record's payload begins in `bytes`. */
  offset = 0;
  /** Bytes of its payload. */
  length = 0;
  /** The number that the producer gave it. */
  tag = 0;
  readonly #control: Int32Array;
  readonly #headers: Uint32Array;
  readonly #capacity: number;
  #head: number;
  #publishedHead: number;
  /** The producer's index as last seen; read anew only when everything before it was consumed. */
  #seenTail: number;
  #isPeeked = false;

  constructor(memory: RingMemory) {
    const views = viewsOf(memory);
    this.bytes = views.bytes;
    this.#control = views.control;
    this.#headers = views.headers;
    this.#capacity = views.capacity;
    this.#head = Atomics.load(this.#control, HEAD_WORD);
    this.#publishedHead = this.#head;
    this.#seenTail = Atomics.load(this.#control, TAIL_WORD);
  }

  /** Shows the oldest record; false when there is none. Its bytes stay valid until it is released and flushed. */
  peek(): boolean {
    if (this.#isPeeked) return true;
    if (this.#head === this.#seenTail) {
      this.#seenTail = Atomics.load(this.#control, TAIL_WORD);
      if (this.#head === this.#seenTail) return false;
    }
    let position = this.#head & (this.#capacity - 1);
    let length = this.#headers[position / 4] ?? 0;
    if (length === SKIP) {
      // A skip is published together with the record behind it, so that there always is one.
      this.#head = (this.#head + this.#capacity - position) | 0;
      position = 0;
      length = this.#headers[0] ?? 0;
    }
    this.offset = position + HEADER_BYTES;
    this.length = length;
    this.tag = this.#headers[position / 4 + 1] ?? 0;
    this.#isPeeked = true;
    return true;
  }

  /** Goes on to the next record. Throws RangeError when none was peeked. */
  release(): void {
    if (!this.#isPeeked) throw new RangeError('no record was peeked');
    this.#isPeeked = false;
    this.#head = (this.#head + recordBytes(this.length)) | 0;
    // A long run without a flush must not make the producer find the ring full that is nearly empty.
    if (((this.#head - this.#publishedHead) >>> 0) * 4 >= this.#capacity) this.flush();
  }

  /** Gives the place of all released records back to the producer. Call it at the end of each batch. */
  flush(): void {
    if (this.#head === this.#publishedHead) return;
    this.#publishedHead = this.#head;
    Atomics.store(this.#control, HEAD_WORD, this.#head);
  }

  /**
   * Says that the consumer is about to sleep. False when a record came in the meantime: then it must not. When true, the
   * producer's next publish() returns true and its user wakes the consumer, which calls awake() or just goes on to peek().
   */
  announceSleep(): boolean {
    this.flush();
    Atomics.store(this.#control, SLEEP_WORD, 1);
    if (Atomics.load(this.#control, TAIL_WORD) === this.#head) return true;
    this.awake();
    return false;
  }

  /** Takes the announcement back, for a consumer that woke for another reason. */
  awake(): void {
    Atomics.store(this.#control, SLEEP_WORD, 0);
  }

  /** Settles a pending sleepAsync() from the consumer's own side, for a consumer that gives up. */
  cancelSleep(): void {
    this.awake();
    Atomics.notify(this.#control, SLEEP_WORD);
  }

  /**
   * For a consumer that sleeps in an event loop: settles when the producer calls wakeSleeper() after
   * announceSleep() returned true; undefined when that has happened already.
   */
  sleepAsync(): Promise<unknown> | undefined {
    const wait = Atomics.waitAsync(this.#control, SLEEP_WORD, 1);
    return wait.async ? wait.value : undefined;
  }
}
