import type { ChildProcess } from 'node:child_process';
import { Timers } from '@kith/base';
import type { KithNode } from '../lab/index.ts';

/** Each node pings its neighbour twice a second: links that carry something are watched closer, and counters move. */
const INTERVAL_S = '0.5';

/** A ping that finds no way at its start ends at once, as on a node that has no card yet; so long until the next try, ms. */
const AGAIN_MS = 1_000;

/** The node that a node pings. */
export function ringNeighbour(index: number, nodes: number): number {
  return (index + 1) % nodes;
}

/** Pings along a ring of nodes, for as long as the soak runs. A ping outlives the card that it went through. */
export class RingTraffic {
  readonly #nodes: readonly KithNode[];
  readonly #pings = new Map<number, ChildProcess>();
  readonly #timers = new Timers();

  constructor(nodes: readonly KithNode[]) {
    this.#nodes = nodes;
    for (const index of nodes.keys()) this.#start(index);
  }

  stop(): void {
    this.#timers.clearAll();
    for (const ping of this.#pings.values()) ping.removeAllListeners('exit').kill('SIGKILL');
    this.#pings.clear();
  }

  #start(index: number): void {
    const next = ringNeighbour(index, this.#nodes.length);
    const ping = this.#nodes[index]?.host.spawn('ping', ['-q', '-i', INTERVAL_S, `172.31.0.${next + 1}`], {
      stdio: 'ignore',
    });
    if (ping === undefined) return;
    this.#pings.set(index, ping);
    ping.once('exit', () => this.#timers.after(`ping ${index}`, AGAIN_MS, () => this.#start(index)));
  }
}
