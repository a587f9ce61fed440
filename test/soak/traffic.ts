import type { ChildProcess } from 'node:child_process';
import type { KithNode } from '../lab/index.ts';

/** Each node pings its neighbour twice a second: links that carry something are watched closer, and counters move. */
const INTERVAL_S = '0.5';

/** Pings along a ring of nodes, for as long as the soak runs. A ping outlives the card that it went through. */
export class RingTraffic {
  readonly #pings: ChildProcess[];

  constructor(nodes: readonly KithNode[]) {
    this.#pings = nodes.map(({ host }, index) => {
      const next = ((index + 1) % nodes.length) + 1;
      return host.spawn('ping', ['-q', '-i', INTERVAL_S, `172.31.0.${next}`], { stdio: 'ignore' });
    });
  }

  stop(): void {
    for (const ping of this.#pings) ping.kill('SIGKILL');
  }
}
