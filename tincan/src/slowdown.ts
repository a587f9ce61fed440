import { readFileSync } from 'node:fs';

/** How long a thread has run, and how long it has waited for a processor while it could have run; nanoseconds since its start. */
export interface ScheduleTimes {
  readonly ran: number;
  readonly waited: number;
}

/** Times between two readings below which they say too little. */
const SAMPLE_MS = 250;
const LEAST_RAN_NS = 2_000_000;

/** Below this a machine counts as one with time: two nodes that start at the same moment on two processors with their hub had 2.1 to 2.5. */
const BUSY_FROM = 3;
/** What everything may be stretched to: with it the shortest time here, 0.4 s, becomes the longest, some seconds. */
const MOST = 15;

/**
 * How many times longer everything takes here than if this thread had a processor of its own, from how long it waits for one: 1 unless the
 * machine is busy. Who waits for an answer of a machine like itself, or of one with the same load, should wait that much longer before doing more.
 */
export class Slowdown {
  readonly #read: () => ScheduleTimes | undefined;
  #last: ScheduleTimes = { ran: 0, waited: 0 };
  #lastMs = Number.NEGATIVE_INFINITY;
  #factor = 1;

  /** @param read the times of the thread; undefined where the kernel does not tell */
  constructor(read: () => ScheduleTimes | undefined = mainThreadTimes) {
    this.#read = read;
  }

  /** 1 to 15. `now` in ms. */
  factor(now: number): number {
    if (now - this.#lastMs < SAMPLE_MS) return this.#factor;
    const times = this.#read();
    if (times === undefined) return 1;
    const ran = times.ran - this.#last.ran;
    if (ran < LEAST_RAN_NS) return this.#factor;
    const factor = (ran + times.waited - this.#last.waited) / ran;
    this.#factor = factor < BUSY_FROM ? 1 : Math.min(factor, MOST);
    this.#last = times;
    this.#lastMs = now;
    return this.#factor;
  }
}

/** Of this process's main thread (Documentation/scheduler/sched-stats.rst of Linux). */
function mainThreadTimes(): ScheduleTimes | undefined {
  try {
    const [ran, waited] = readFileSync('/proc/self/schedstat', 'utf8').split(' ').map(Number);
    return ran === undefined || waited === undefined ? undefined : { ran, waited };
  } catch {
    // A kernel without CONFIG_SCHED_INFO.
    return undefined;
  }
}
