import type { ThreadScheduling } from '@kith/posix';

/**
 * From this rate on a worker sees a stream. It is about one super-frame a millisecond: below it there is nothing to gather, and
 * whoever waits for an answer is served best by a worker that runs as soon as it is woken.
 */
const STREAM_BYTES_PER_MS = 64_000;
/**
 * From this many frames on a worker sees a flow of small ones. Datagrams at full blast are 140 to 240 in a millisecond, and half as many arrive where it
 * does not let their sender go first; at 60 it costs a twelfth of its CPU time, between 100 and 150 it makes no difference (2 processors), and a slower
 * machine comes to less at full blast.
 */
const FLOW_FRAMES_PER_MS = 64;
/** How long a rate is measured: at most 20 changes a second, and a stream is noticed before anyone could feel it. */
const WINDOW_MS = 50;
/** How long a worker's last word of a stream counts for the other one; windows end with frames, and those may pause. */
const MEMORY_MS = 4 * WINDOW_MS;

/** When each of the two workers last saw a stream: whole milliseconds of the shared clock, modulo 2^32. */
export type SharedPace = Int32Array<SharedArrayBuffer>;
export const EGRESS_PACE = 0;
export const INGRESS_PACE = 1;

export function newPace(): SharedPace {
  return new Int32Array(new SharedArrayBuffer(8)).fill(-MEMORY_MS);
}

/** What is needed of ThreadScheduling. */
export type Scheduling = Pick<ThreadScheduling, 'isBatch' | 'setBatch'>;

/**
 * Chooses between the two ways in which a worker's thread can be scheduled. As a batch thread it carries a fifth more of a full
 * stream, because it is woken less often and finds more each time; as an ordinary one it interrupts whatever else the machine
 * is busy with, so that a ping through a busy machine takes 0.3 ms instead of 1.4 (2 processors, 3 busy threads).
 *
 * Where each direction has a worker, both change together: one carries the stream, the other its acknowledgements, which are small but would
 * interrupt the stream's own threads thousands of times a second.
 */
export class Pace {
  readonly #shared: SharedPace;
  readonly #own: number;
  readonly #scheduling: Scheduling;
  #since: number;
  #bytes = 0;
  #frames = 0;
  #isFlow = false;

  /**
   * To be made in the worker's own thread. `own` is its place in `shared`; `nowMs`, here and in look(), is of one monotonic
   * clock for both threads.
   */
  constructor(shared: SharedPace, own: number, nowMs: number, scheduling: Scheduling) {
    this.#shared = shared;
    this.#own = own;
    this.#scheduling = scheduling;
    this.#since = nowMs;
  }

  /** A frame of so many bytes that the worker has carried. */
  add(bytes: number): void {
    this.#bytes += bytes;
    this.#frames++;
  }

  /** A stream, or frames so dense that more are about to come while the worker makes itself ready to sleep. */
  get isFlow(): boolean {
    return this.#isFlow;
  }

  /** Once per wake-up. */
  look(nowMs: number): void {
    const elapsed = nowMs - this.#since;
    if (elapsed < WINDOW_MS) return;
    const isStream = this.#bytes >= elapsed * STREAM_BYTES_PER_MS;
    const isDense = this.#frames >= elapsed * FLOW_FRAMES_PER_MS;
    this.#since = nowMs;
    this.#bytes = 0;
    this.#frames = 0;
    const now = Math.floor(nowMs) | 0;
    if (isStream) Atomics.store(this.#shared, this.#own, now);
    const wish = isStream || ((now - Atomics.load(this.#shared, 1 - this.#own)) | 0) < MEMORY_MS;
    this.#isFlow = wish || isDense;
    if (wish !== this.#scheduling.isBatch) this.#scheduling.setBatch(wish);
  }
}
