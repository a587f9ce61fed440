import type { RingMemory } from '@kith/ring';
import type { Offload } from './device.ts';
import type { SharedPace } from './pace.ts';
import type { SharedStop } from './stop.ts';
import type { SharedWatch } from './watched.ts';

/** What a worker is given by the main thread; everything in it is shared memory or a number. One of the directions may be another worker's. */
export interface WorkerStart {
  /** eventfd that wakes this worker from poll. */
  readonly bellFd: number;
  readonly stop: SharedStop;
  /** Of all workers. */
  readonly pace: SharedPace;
  readonly egress: DirectionStart | null;
  readonly ingress: DirectionStart | null;
}

/** What is needed to carry frames in one direction. */
export interface DirectionStart {
  readonly tapFd: number;
  /** Uplink or downlink. */
  readonly ring: RingMemory;
  readonly table: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Of the worker that has the egress. */
  readonly watch: SharedWatch;
  readonly mtu: number;
  /** Longest read of the TAP device, virtio header included. */
  readonly maxRead: number;
  /** Which super-frames the TAP device takes. */
  readonly offload: Offload;
  readonly direct: DirectStart | null;
}

/** What a direction needs for the direct carrier. */
export interface DirectStart {
  readonly socketFd: number;
  readonly stats: SharedArrayBuffer;
  /** Of the egress: commands to it. Of the ingress: datagrams for the main thread. */
  readonly ring: RingMemory;
  /** Whether UDP_SEGMENT works. */
  readonly gso: boolean;
  /** Whether the socket coalesces what it receives (UDP_GRO). */
  readonly gro: boolean;
}

/** The message by which a worker says that it is about to enter its loop. */
export const READY = 'ready';
