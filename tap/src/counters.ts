/**
 * Counters that one thread writes and others read: a block of doubles per writer in shared memory. Doubles, because they count
 * to 2^53 without the allocation that BigInt atomics cost; on 64-bit machines an aligned double is read whole.
 */
export const EGRESS_COUNTERS = [
  'tap_tx_frames',
  'tap_tx_bytes',
  'dropped_uplink_full',
  'dropped_flood_limited',
  'dropped_to_self',
  'dropped_malformed',
  'dropped_oversize',
] as const;
export const INGRESS_COUNTERS = [
  'tap_rx_frames',
  'tap_rx_bytes',
  'dropped_malformed',
  'dropped_oversize',
  'dropped_spoofed_mac',
  'dropped_spoofed_ip',
  'dropped_tap_write',
  'learned_macs',
  'table_full',
  'refused_bindings',
] as const;
export const MAIN_COUNTERS = ['dropped_downlink_full', 'dropped_oversize'] as const;

export type EgressCounter = (typeof EGRESS_COUNTERS)[number];
export type IngressCounter = (typeof INGRESS_COUNTERS)[number];
export type MainCounter = (typeof MAIN_COUNTERS)[number];

/** A thread's own block. */
export class Counters<Name extends string> {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;
  readonly #names: readonly Name[];
  readonly #indices: ReadonlyMap<Name, number>;

  constructor(names: readonly Name[], memory = new SharedArrayBuffer(names.length * 8)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
    this.#names = names;
    this.#indices = new Map(names.map((name, index) => [name, index]));
  }

  add(name: Name, amount = 1): void {
    const index = this.#indices.get(name) ?? 0;
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  set(name: Name, value: number): void {
    this.#values[this.#indices.get(name) ?? 0] = value;
  }

  get(name: Name): number {
    return this.#values[this.#indices.get(name) ?? 0] ?? 0;
  }

  /** Adds each value to the entry of its name; blocks may share a name. */
  addTo(totals: Record<string, number>): void {
    for (const name of this.#names) totals[name] = (totals[name] ?? 0) + this.get(name);
  }
}
