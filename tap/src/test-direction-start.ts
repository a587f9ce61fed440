import { createRing } from '@kith/ring';
import { Counters, EGRESS_COUNTERS } from './counters.ts';
import { DirectStats } from './direct-stats.ts';
import { createTable } from './table-layout.ts';
import { newWatch } from './watched.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/** For tests: what a direction is given, without any descriptor. */
export function directionStart(hasOffload: boolean): DirectionStart & { readonly direct: DirectStart } {
  return {
    tapFd: -1,
    watch: newWatch(),
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
