import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { BugError, SystemError } from '@kith/base';
import { EBADFD, EventFd, errnoName } from '@kith/posix';
import { askToStop, newStop } from './stop.ts';
import { READY, type WorkerStart } from './worker-start.ts';

const SCRIPT = new URL('./worker-thread.js', import.meta.url);

/** One worker thread and the bell that wakes it from poll. */
export class WorkerHandle {
  readonly #name: string;
  readonly #bell = EventFd.create();
  readonly #stop = newStop();
  #worker: Worker | undefined;
  #exited: Promise<void> | undefined;
  #isStopping = false;

  /** Throws SystemError when there is no descriptor left for the bell. */
  constructor(name: string) {
    this.#name = name;
  }

  /** Starts the thread. `onDeath` is called once if it ends without having been asked to. */
  launch(start: Omit<WorkerStart, 'bellFd' | 'stop'>, onDeath: (error: Error) => void): void {
    const workerData: WorkerStart = { ...start, bellFd: this.#bell.fd, stop: this.#stop };
    const worker = new Worker(SCRIPT, { name: this.#name, workerData });
    let cause: Error | undefined;
    worker.once('error', (error) => {
      cause = error;
    });
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        if (!this.#isStopping) onDeath(this.#death(cause));
        resolve();
      });
    });
    this.#worker = worker;
  }

  /** Settles when the worker stands before its loop. Rejects with SystemError when it ends before that. */
  async ready(): Promise<void> {
    if (this.#worker === undefined) throw new BugError('TAP_NOT_LAUNCHED', `${this.#name} was not launched`);
    let message: unknown;
    try {
      [message] = await Promise.race([once(this.#worker, 'message'), this.#exited?.then(() => []) ?? []]);
    } catch (cause) {
      throw this.#death(cause);
    }
    if (message !== READY) throw this.#death(undefined);
  }

  ring(): void {
    this.#bell.signal();
  }

  /** Asks the worker to end; it does so even while the main thread goes on to exit without waiting. */
  askToStop(): void {
    this.#isStopping = true;
    askToStop(this.#stop);
    this.#bell.signal();
  }

  /** Ends the worker and frees its bell. */
  async stop(): Promise<void> {
    this.askToStop();
    await this.#exited;
    this.#bell.close();
  }

  #death(cause: unknown): SystemError {
    // An error that crosses threads keeps its own properties, but not its class.
    if (cause instanceof Error && 'code' in cause && cause.code === errnoName(EBADFD)) {
      return new SystemError('TAP_GONE', 'somebody deleted the TAP device', { cause });
    }
    return new SystemError('TAP_WORKER_DIED', `the ${this.#name} worker ended unexpectedly`, { cause });
  }
}
