import { hotMemory } from './hot-memory.ts';
import { cSchedGetscheduler, cSchedSetscheduler, cSchedYield } from './libc.ts';

// linux/sched.h
const SCHED_OTHER = 0;
const SCHED_BATCH = 3;
/** sched_setscheduler(2): the calling thread. */
const THIS_THREAD = 0;
/** struct sched_param: one int, which both policies want to be zero. */
const SCHED_PARAM_BYTES = 4;

/**
 * The scheduling policy of the thread that makes it. As a batch thread (sched(7), SCHED_BATCH) it waits for its turn when
 * something wakes it, instead of interrupting the thread that runs there, and finds more to do in one go. Its share of the
 * processor is the same either way, and an idle processor is its at once.
 */
export class ThreadScheduling {
  readonly #param = hotMemory(SCHED_PARAM_BYTES).address;
  /** An administrator's choice (chrt, CPUSchedulingPolicy=) is left alone. */
  readonly #isOurs = cSchedGetscheduler(THIS_THREAD) === SCHED_OTHER;
  #isBatch = false;

  get isBatch(): boolean {
    return this.#isBatch;
  }

  /** False when the machine forbids it or an administrator has chosen a policy; only speed depends on it. */
  setBatch(isBatch: boolean): boolean {
    if (!this.#isOurs) return false;
    const policy = isBatch ? SCHED_BATCH : SCHED_OTHER;
    if (cSchedSetscheduler(THIS_THREAD, policy, this.#param) !== 0) return false;
    this.#isBatch = isBatch;
    return true;
  }
}

/** Lets other threads that wait for this processor go first (sched_yield(2)); returns at once when there are none. */
export function yieldTurn(): void {
  cSchedYield();
}
