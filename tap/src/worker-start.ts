import type { RingMemory } from '@kith/ring';
import type { SharedStop } from './stop.ts';

/** What both workers are given by the main thread; everything in it is shared memory or a number. */
export interface WorkerStart {
  readonly tapFd: number;
  /** eventfd that wakes this worker from poll. */
  readonly bellFd: number;
  readonly stop: SharedStop;
  readonly ring: RingMemory;
  readonly table: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly mtu: number;
}

/** The message by which a worker says that it is about to enter its loop. */
export const READY = 'ready';
