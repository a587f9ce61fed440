import { nextGridMoment } from './calm-grid.ts';

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

  /**
   * Runs `action` at each whole multiple of `intervalMs` of monotonicMs() until cleared, the first time within one interval: what is
   * periodic happens at the same moments, so that a process which has nothing else to do is woken once for all of it.
   */
  every(name: string, intervalMs: number, action: () => void): void {
    const now = monotonicMs();
    this.after(name, nextGridMoment(now, intervalMs) - now, () => {
      // Before the action, which may clear it.
      this.every(name, intervalMs, action);
      action();
    });
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

/**
 * Where the wall clock's last whole minute lies before this process began: with it the multiples of what divides a minute are the same
 * moments in all processes of all machines whose clocks are right. What a node asks of ten others on such a grid, and they of it, comes in
 * one wake-up instead of ten.
 */
const PHASE_MS = performance.timeOrigin % 60_000;

/**
 * Milliseconds on a clock that never jumps back (CLOCK_MONOTONIC), the time that state machines are given. Its zero is a whole minute of
 * the wall clock.
 */
export function monotonicMs(): number {
  return performance.now() + PHASE_MS;
}
