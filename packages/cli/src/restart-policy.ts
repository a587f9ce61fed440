import { type BackoffPolicy, backoffMs } from '@kith/base';

/** Half a second is short beside the time that a link needs; half a minute keeps a process that cannot start from eating the machine. */
const BACKOFF: BackoffPolicy = { firstMs: 500, maxMs: 30_000 };
/** A process that lived this long had no trouble starting, so its death is a new story. */
const HEALTHY_MS = 60_000;

/** When to start a process again that died: at once the first time, then ever later, until it lived for a minute. */
export class RestartPolicy {
  readonly #random: () => number;
  #startedAt = 0;
  #deaths = 0;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Deaths since the process last lived for a minute. */
  get deaths(): number {
    return this.#deaths;
  }

  started(nowMs: number): void {
    this.#startedAt = nowMs;
  }

  /** The wait before the next start, milliseconds. */
  died(nowMs: number): number {
    if (nowMs - this.#startedAt >= HEALTHY_MS) this.#deaths = 0;
    this.#deaths++;
    return this.#deaths === 1 ? 0 : backoffMs(BACKOFF, this.#deaths - 1, this.#random);
  }
}
