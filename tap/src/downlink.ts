import { BugError } from '@kith/base';
import { type RingMemory, RingProducer } from '@kith/ring';
import { CHUNK_HEADER_BYTES, CHUNK_WHOLE, writeChunkHeader } from './chunk.ts';
import type { Counters, MainCounter } from './counters.ts';
import { GLUER_HEADROOM } from './gluer.ts';

/**
 * Unused bytes before each chunk in the ring. The ingress worker's gluer writes into GLUER_HEADROOM of them; eight keep the chunk
 * aligned as the ring aligns it.
 */
export const DOWNLINK_HEADROOM = 8;
if (GLUER_HEADROOM > DOWNLINK_HEADROOM) throw new BugError('TAP_HEADROOM', 'chunks lack headroom');

interface Command {
  readonly tag: number;
  readonly payload: Uint8Array;
}

/**
 * Commands that may wait for room in a full ring. Each link needs about four, so that this is a thousand links at once while
 * the ingress worker stands still: beyond it something is broken.
 */
const MAX_WAITING = 4096;

/**
 * The main thread's end of a ring to a worker. A chunk that finds no room is dropped and counted; a command never is: it waits,
 * and the chunks behind it are dropped until it is in, so that the order holds.
 */
export class Downlink {
  readonly #ring: RingProducer;
  readonly #counters: Counters<MainCounter>;
  readonly #maxChunk: number;
  readonly #wake: () => void;
  #waiting: Command[] = [];
  #isRetrying = false;
  #isStopped = false;

  constructor(memory: RingMemory, counters: Counters<MainCounter>, maxChunk: number, wake: () => void) {
    this.#ring = new RingProducer(memory);
    this.#counters = counters;
    this.#maxChunk = maxChunk;
    this.#wake = wake;
  }

  /** False when the chunk was dropped. */
  chunk(link: number, data: Uint8Array, offset: number, length: number): boolean {
    if (length > this.#maxChunk) {
      this.#counters.add('dropped_oversize');
      return false;
    }
    const ring = this.#ring;
    const at = this.#isStopped || this.#waiting.length > 0 ? -1 : ring.reserve(DOWNLINK_HEADROOM + length);
    if (at < 0) {
      this.#counters.add('dropped_downlink_full');
      return false;
    }
    ring.bytes.set(data.subarray(offset, offset + length), at + DOWNLINK_HEADROOM);
    ring.commit(DOWNLINK_HEADROOM + length, link);
    this.#publish();
    return true;
  }

  /** As chunk(), for a whole frame. */
  frame(link: number, data: Uint8Array, offset: number, length: number): boolean {
    const chunk = new Uint8Array(CHUNK_HEADER_BYTES + length);
    writeChunkHeader(chunk, 0, CHUNK_WHOLE, 0, 0, 0, 0);
    chunk.set(data.subarray(offset, offset + length), CHUNK_HEADER_BYTES);
    return this.chunk(link, chunk, 0, chunk.length);
  }

  /** `payload` is zeroed once it is in the ring, since it may hold keys. Throws BugError when too many commands wait. */
  command(tag: number, payload: Uint8Array): void {
    if (this.#isStopped) return;
    if (this.#waiting.length >= MAX_WAITING) {
      throw new BugError('TAP_COMMANDS_STALLED', `a TAP worker has left ${MAX_WAITING} commands unread`);
    }
    this.#waiting.push({ tag, payload });
    if (!this.#isRetrying) this.#flushCommands();
  }

  stop(): void {
    this.#isStopped = true;
    for (const { payload } of this.#waiting) payload.fill(0);
    this.#waiting = [];
  }

  readonly #flushCommands = (): void => {
    this.#isRetrying = false;
    let done = 0;
    for (const { tag, payload } of this.#waiting) {
      if (!this.#ring.push(payload, 0, payload.length, tag)) break;
      payload.fill(0);
      done++;
    }
    this.#waiting.splice(0, done);
    this.#publish();
    if (this.#waiting.length === 0) return;
    // The ring is full of chunks, and the worker is busy emptying it: a few turns of the event loop later there is room.
    this.#isRetrying = true;
    setImmediate(this.#flushCommands);
  };

  #publish(): void {
    if (this.#ring.publish()) this.#wake();
  }
}
