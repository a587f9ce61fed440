/**
 * How much later than the one before it an attempt begins, where nothing is known of either. RFC 8305 §5 names 250 ms; a relayed pair
 * shall answer its first ping within two seconds, and firewalls that drop TCP to unusual ports are what TURN on 443 is for.
 */
export const STAGGER_MS = 100;

/** An attempt whose server has not answered by then has failed: a lost SYN is repeated after 1 and 3 s (RFC 6298 §2). */
export const ATTEMPT_MS = 5_000;

type State = 'due' | 'running' | 'failed';

/** Several ways to one end, tried shortly after each other; the first that answers is taken. Pure; times in ms. */
export class Race {
  readonly #states: State[];
  readonly #deadlines: number[];
  #nextAt: number;

  /** `count` attempts, the first at `startAt`. */
  constructor(count: number, startAt: number) {
    this.#states = new Array<State>(count).fill('due');
    this.#deadlines = new Array<number>(count).fill(Number.POSITIVE_INFINITY);
    this.#nextAt = startAt;
  }

  /** Numbers of the attempts to begin and of those to end now. Call it when `due` says so. */
  step(now: number): { begin: number[]; end: number[] } {
    const begin: number[] = [];
    const end: number[] = [];
    this.#deadlines.forEach((deadline, index) => {
      if (now < deadline) return;
      this.failed(index, now);
      end.push(index);
    });
    while (now >= this.#nextAt) {
      const index = this.#states.indexOf('due');
      if (index < 0) break;
      this.#states[index] = 'running';
      this.#deadlines[index] = now + ATTEMPT_MS;
      this.#nextAt = now + STAGGER_MS;
      begin.push(index);
    }
    return { begin, end };
  }

  /** An attempt failed; the next need not wait for its time. */
  failed(index: number, now: number): void {
    if (this.#states[index] !== 'running') return;
    this.#states[index] = 'failed';
    this.#deadlines[index] = Number.POSITIVE_INFINITY;
    this.#nextAt = Math.min(this.#nextAt, now);
  }

  /** No attempt is left that could win. */
  get isLost(): boolean {
    return this.#states.every((state) => state === 'failed');
  }

  /** When `step` has something to do; infinite: never. */
  get due(): number {
    const next = this.#states.includes('due') ? this.#nextAt : Number.POSITIVE_INFINITY;
    return Math.min(next, ...this.#deadlines);
  }
}
