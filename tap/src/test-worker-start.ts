import { createRing } from '@kith/ring';
import { Counters, EGRESS_COUNTERS } from './counters.ts';
import { DirectStats } from './direct-stats.ts';
import { newPace } from './pace.ts';
import { newStop } from './stop.ts';
import { createTable } from './table-layout.ts';
import { newWatch } from './watched.ts';
import type { DirectStart, WorkerStart } from './worker-start.ts';

/** For tests: what a worker is given, without any descriptor. */
export function workerStart(hasOffload: boolean): WorkerStart & { readonly direct: DirectStart } {
  return {
    tapFd: -1,
    bellFd: -1,
    stop: newStop(),
    watch: newWatch(),
    pace: newPace(),
    ring: createRing(4096),
    table: createTable(),
    counters: new Counters(EGRESS_COUNTERS).memory,
    mtu: 1360,
    maxRead: 65_600,
    offload: { tso: hasOffload, uso: hasOffload },
    direct: {
      socketFd: -1,
      stats: new DirectStats().memory,
      ring: createRing(4096),
      gso: hasOffload,
      gro: hasOffload,
    },
  };
}
