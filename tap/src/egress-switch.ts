import { KIND_MAC, LINK_ALL, LINK_SELF } from './addresses.ts';
import type { Counters, EgressCounter } from './counters.ts';
import { DESTINATION_AT, ETHERNET_HEADER_BYTES } from './frame.ts';
import { NO_LINK, TableReader } from './table-reader.ts';
import { TokenBucket } from './token-bucket.ts';

/** The frame goes nowhere; why is counted. */
export const DROP = -1;

/**
 * Frames of unknown destination are rare, since the ARP reply that names a MAC also teaches its link; what is left is the
 * first frames after a link broke. 256 a second, at once if need be, serve that, and bound what a scan multiplies by all links.
 */
export const FLOODS_PER_SECOND = 256;
export const FLOOD_BURST = 256;

/** Decides to which link a frame from TAP goes. No I/O; the thread that owns it is the only one that calls it. */
export class EgressSwitch {
  readonly #table: TableReader;
  readonly #counters: Counters<EgressCounter>;
  readonly #floods: TokenBucket;

  constructor(table: SharedArrayBuffer, counters: Counters<EgressCounter>, nowMs: number) {
    this.#table = new TableReader(table);
    this.#counters = counters;
    this.#floods = new TokenBucket(FLOODS_PER_SECOND, FLOOD_BURST, nowMs);
  }

  /** The link of a frame's destination, LINK_ALL, or DROP. `nowMs` is of threadClock. */
  route(data: Uint8Array, offset: number, length: number, nowMs: number): number {
    if (length < ETHERNET_HEADER_BYTES) {
      this.#counters.add('dropped_malformed');
      return DROP;
    }
    // The lowest bit of the first byte marks multicast and broadcast (IEEE 802-2014 §8.2.2).
    if (((data[offset + DESTINATION_AT] ?? 0) & 1) !== 0) return LINK_ALL;
    const link = this.#table.lookup(KIND_MAC, data, offset + DESTINATION_AT, Math.floor(nowMs / 1000));
    if (link === LINK_SELF) {
      this.#counters.add('dropped_to_self');
      return DROP;
    }
    if (link !== NO_LINK) return link;
    if (this.#floods.take(nowMs)) return LINK_ALL;
    this.#counters.add('dropped_flood_limited');
    return DROP;
  }
}
