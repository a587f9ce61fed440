/** Presences and signals that may wait for links to begin; they wait a second or two at most. */
const MAX_WAITING = 1_024;

/** Holds what is to be done once links may begin, and does it then in order. Pure. */
export class StartGate {
  /** Undefined once open. */
  #waiting: (() => void)[] | undefined = [];
  readonly counters = { dropped_before_ready: 0 };

  whenOpen(action: () => void): void {
    if (this.#waiting === undefined) action();
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(action);
    else this.counters.dropped_before_ready++;
  }

  /** Does what has waited; from now on nothing waits. */
  open(): void {
    const actions = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const action of actions) action();
  }
}
