/**
 * Timers that have names, so that a process which will not end can say what it waits for, and that are cleared together.
 * Setting a name again replaces its timer.
 */
export class Timers {
  readonly #running = new Map<string, NodeJS.Timeout>();

  /** Runs `action` once after `delayMs` milliseconds; of a fraction node would be early, and whoever waits for a moment would be woken twice. */
  after(name: string, delayMs: number, action: () => void): void {
    this.clear(name);
    this.#running.set(
      name,
      setTimeout(() => {
        this.#running.delete(name);
        action();
      }, Math.ceil(delayMs)),
    );
  }

  /** Runs `action` every `intervalMs` milliseconds until cleared. */
  every(name: string, intervalMs: number, action: () => void): void {
    this.clear(name);
    this.#running.set(name, setInterval(action, intervalMs));
  }

  has(name: string): boolean {
    return this.#running.has(name);
  }

  /** Names of the timers that are running. */
  names(): string[] {
    return [...this.#running.keys()];
  }

  clear(name: string): void {
    // In Node, clearTimeout ends intervals as well.
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  clearAll(): void {
    for (const name of this.names()) this.clear(name);
  }
}

/** Milliseconds on a clock that never jumps back (CLOCK_MONOTONIC), the time that state machines are given. */
export function monotonicMs(): number {
  return performance.now();
}
