import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SystemError } from '@kith/base';
import { ended } from './command.ts';

/** One order to the reaper; `reaper.mjs` says what each means. */
export type ReaperOrder =
  | { namespace: string }
  | { directory: string }
  | { keep_logs: string }
  | { done: true }
  | { hand_over: string };

/**
 * This side of the process that cleans up when we are gone. Everything is announced to it before it is made, so that
 * there is no moment at which something exists that nobody would remove.
 */
export class Reaper {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: ChildProcessByStdio<Writable, Readable, null>) {
    this.#process = process;
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
    // When the reaper is dead its exit code is what counts (see #close), not the EPIPE.
    process.stdin.on('error', () => undefined);
  }

  static async start(): Promise<Reaper> {
    // `detached` gives it a session of its own: Ctrl-C in a terminal and kill of a process group pass it by.
    const child = spawn(process.execPath, [fileURLToPath(new URL('./reaper.mjs', import.meta.url))], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const reaper = new Reaper(child);
    const first = await reaper.#lines.next();
    if (first.value !== 'ready')
      throw new SystemError('REAPER_NOT_STARTED', 'the reaper process did not start');
    return reaper;
  }

  /** Resolves when the order stands in the pipe, where it survives us. */
  order(order: ReaperOrder): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#process.stdin.write(`${JSON.stringify(order)}\n`, (cause) => {
        if (cause) reject(new SystemError('REAPER_GONE', 'the reaper process is gone', { cause }));
        else resolve();
      });
    });
  }

  /**
   * Has everything removed; SystemError REAPER_FAILED names what could not be. `settled` says that nothing is still being
   * made, which spares a second look.
   */
  async clean(settled: boolean): Promise<void> {
    if (settled) await this.order({ done: true });
    await this.#close();
  }

  /** Ends the reaper and leaves everything standing; `file` holds the orders for a later `cleanFrom`. */
  async handOver(file: string): Promise<void> {
    await this.order({ hand_over: file });
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#process.stdin.end();
    const report = await this.#lines.next();
    const code = await ended(this.#process);
    if (code !== 0)
      throw new SystemError('REAPER_FAILED', `clean-up incomplete: ${report.value ?? `exit code ${code}`}`);
  }

  /** Gives orders (the content of a hand-over file, one JSON object per line) to a new reaper, which then removes all. */
  static async cleanFrom(orders: string): Promise<void> {
    const reaper = await Reaper.start();
    await new Promise<void>((resolve) => {
      reaper.#process.stdin.write(orders, () => resolve());
    });
    await reaper.#close();
  }
}
