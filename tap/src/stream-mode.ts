import { ThreadScheduling } from '@kith/posix';
import type { Scheduling } from './pace.ts';

/** What a thread does otherwise while a stream flows: how it is scheduled, and how soon V8 gives code its best compiler. */
export class StreamMode implements Scheduling {
  readonly #compile: (early: boolean) => void;
  readonly #scheduling: Pick<Scheduling, 'setBatch'>;
  #isStream = false;

  /** To be made in the thread itself. `compile` is told of each change. */
  constructor(
    compile: (early: boolean) => void,
    scheduling: Pick<Scheduling, 'setBatch'> = new ThreadScheduling(),
  ) {
    this.#compile = compile;
    this.#scheduling = scheduling;
  }

  /** What was asked for. Where an administrator's choice denies it the thread is none, but the stream's end must still be told. */
  get isBatch(): boolean {
    return this.#isStream;
  }

  setBatch(isBatch: boolean): boolean {
    this.#isStream = isBatch;
    this.#compile(isBatch);
    return this.#scheduling.setBatch(isBatch);
  }
}
