import { compileEarly, compileLate } from '@kith/base';
import { newPace } from './pace.ts';
import { WorkerHandle } from './worker-handle.ts';
import type { DirectionStart } from './worker-start.ts';

/** The threads that carry a device's frames: one for both directions, or one for each. */
export class WorkerHandles {
  readonly #egress: WorkerHandle;
  readonly #ingress: WorkerHandle;
  /** Each once. */
  readonly #all: readonly WorkerHandle[];

  /** Throws SystemError when there is no descriptor left for a bell. */
  constructor(count: 1 | 2) {
    this.#egress = new WorkerHandle(count === 1 ? 'tap' : 'tap-egress');
    this.#ingress = count === 1 ? this.#egress : new WorkerHandle('tap-ingress');
    this.#all = [...new Set([this.#egress, this.#ingress])];
  }

  /** Starts the threads. `onDeath` is called for each that ends without having been asked to. */
  launch(egress: DirectionStart, ingress: DirectionStart, onDeath: (error: Error) => void): void {
    // They rehearse.
    compileEarly();
    const pace = newPace();
    for (const worker of this.#all) {
      const own = {
        egress: worker === this.#egress ? egress : null,
        ingress: worker === this.#ingress ? ingress : null,
      };
      worker.launch({ pace, ...own }, onDeath);
    }
  }

  /** Settles when all stand before their loops. Rejects with SystemError when one ends before that. */
  async ready(): Promise<void> {
    try {
      await Promise.all(this.#all.map((worker) => worker.ready()));
    } finally {
      compileLate();
    }
  }

  /** Wakes who sends. */
  ringEgress(): void {
    this.#egress.ring();
  }

  /** Wakes who receives. */
  ringIngress(): void {
    this.#ingress.ring();
  }

  /** Asks all to end; they do so even while the main thread goes on to exit without waiting. */
  askToStop(): void {
    for (const worker of this.#all) worker.askToStop();
  }

  /** Ends all and frees their bells. */
  async stop(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.stop()));
  }
}
