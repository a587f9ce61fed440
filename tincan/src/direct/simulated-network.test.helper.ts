import type { Address } from './direct-port.ts';

/** One network that joins the two ends: each end has at most one address on it. */
export interface SimulatedNet {
  name: string;
  /** One-way delay, ms. */
  delay: number;
  /** Probability that a datagram is lost. */
  loss: number;
  /** Up to this many ms are added to the delay, so datagrams overtake each other. */
  jitter: number;
  /** Largest IP packet. */
  mtu: number;
  /** Whether datagrams pass: from end 0, from end 1. */
  open: [boolean, boolean];
  /** Addresses of end 0 and end 1. */
  addresses: [Address, Address];
}

interface Event {
  at: number;
  run: () => void;
}

/** Two ends, several networks, one clock. Deterministic for a given source of randomness. */
export class SimulatedNetwork {
  readonly nets: SimulatedNet[];
  now = 1_000;
  /** When the control channels of both ends last heard the other. */
  channelHeardAt = Number.POSITIVE_INFINITY;
  readonly #random: () => number;
  readonly #events: Event[] = [];

  constructor(nets: SimulatedNet[], random: () => number) {
    this.nets = nets;
    this.#random = random;
  }

  at(delay: number, run: () => void): void {
    const at = this.now + delay;
    // Latest first, so that the next one is popped off the end; events of one moment keep their order.
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.at ?? 0) > at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { at, run });
  }

  netOf(address: Address, end: 0 | 1): SimulatedNet | undefined {
    return this.nets.find(
      (net) => net.addresses[end].ip === address.ip && net.addresses[end].port === address.port,
    );
  }

  /** Sends from one end; `deliver` is called at the other with the source address, if the datagram gets there. */
  send(from: 0 | 1, to: Address, bytes: number, deliver: (source: Address) => void): void {
    const other = from === 0 ? 1 : 0;
    const net = this.netOf(to, other);
    if (net === undefined || !net.open[from]) return;
    if (bytes + (to.ip.includes(':') ? 48 : 28) > net.mtu || this.#random() < net.loss) return;
    const source = net.addresses[from];
    this.at(net.delay + this.#random() * net.jitter, () => {
      // Who moved away while the datagram was under way does not get it.
      if (this.netOf(to, other) === net && net.open[from]) deliver(source);
    });
  }

  /** Runs everything up to `until`; `observe` is called after each moment at which something happened. */
  run(until: number, observe: () => void = () => {}): void {
    for (let next = this.#events.at(-1); next !== undefined && next.at <= until; next = this.#events.at(-1)) {
      this.#events.pop();
      this.now = Math.max(this.now, next.at);
      next.run();
      observe();
    }
    this.now = until;
  }
}

/** A small seeded generator (mulberry32), so that a failing run can be run again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
