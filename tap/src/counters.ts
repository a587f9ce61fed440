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
  'dropped_layer3_broadcast',
  'dropped_layer3_multicast',
  'dropped_layer3_not_ip',
  'dropped_layer3_foreign_mac',
  'dropped_layer3_unknown',
  'dropped_direct_send',
  'direct_sends',
  'direct_send_waits',
  'direct_gso_disabled',
] as const;
/** What a gluer counts, whichever thread's block it is in. */
export const GLUER_COUNTERS = ['dropped_bad_chunk', 'dropped_oversize'] as const;
export const INGRESS_COUNTERS = [
  'tap_rx_frames',
  'tap_rx_bytes',
  'dropped_malformed',
  ...GLUER_COUNTERS,
  'dropped_spoofed_mac',
  'dropped_spoofed_ip',
  'dropped_not_layer3',
  'dropped_tap_write',
  'dropped_fragments',
  'learned_macs',
  'table_full',
  'refused_bindings',
  'direct_receives',
  'direct_socket_overflow',
  'dropped_unknown_datagram',
  'dropped_unknown_receiver',
  'dropped_forged',
  'dropped_replayed',
  'dropped_control_limited',
  'dropped_control_full',
] as const;
export const MAIN_COUNTERS = [
  'dropped_downlink_full',
  'dropped_oversize',
  'dropped_control_send',
  'members',
  'held_frames',
  'dropped_held_full',
  'dropped_held_expired',
  'dropped_held_removed',
  'neighbour_answers',
  'dropped_unanswered',
] as const;

export type EgressCounter = (typeof EGRESS_COUNTERS)[number];
export type GluerCounter = (typeof GLUER_COUNTERS)[number];
export type IngressCounter = (typeof INGRESS_COUNTERS)[number];
export type MainCounter = (typeof MAIN_COUNTERS)[number];

/** What code needs that counts some of the names of a block. */
export interface Counting<Name extends string> {
  add(name: Name, amount?: number): void;
}

/** A thread's own block. */
export class Counters<Name extends string> implements Counting<Name> {
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
