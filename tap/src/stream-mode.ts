import { ThreadScheduling } from '@kith/posix';
import type { Scheduling } from './pace.ts';

/** What a thread does otherwise while a stream flows: how it is scheduled, and how soon V8 gives code its best compiler. */
export class StreamMode implements Scheduling {
  readonly #scheduling = new ThreadScheduling();
  readonly #compile: (early: boolean) => void;

  /** To be made in the thread itself. `compile` is told of each change. */
  constructor(compile: (early: boolean) => void) {
    this.#compile = compile;
  }

  get isBatch(): boolean {
    return this.#scheduling.isBatch;
  }

  setBatch(isBatch: boolean): boolean {
    this.#compile(isBatch);
    return this.#scheduling.setBatch(isBatch);
  }
}
