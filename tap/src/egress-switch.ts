import { KIND_MAC, LINK_ALL, LINK_SELF, MAC_BYTES } from './addresses.ts';
import { TAG_NEIGHBOUR } from './commands.ts';
import type { Counters, EgressCounter } from './counters.ts';
import { DESTINATION_AT, ETHERNET_HEADER_BYTES, SOURCE_AT } from './frame.ts';
import { neighbourKind } from './neighbour-responder.ts';
import { NO_LINK, TableReader } from './table-reader.ts';
import { TokenBucket } from './token-bucket.ts';
import { word16 } from './wire-bytes.ts';

const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;

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

  /**
   * Where a frame goes: the link of its destination, LINK_MEMBER when that has no link yet, LINK_ALL, TAG_NEIGHBOUR for what the
   * main thread answers, or DROP. `nowMs` is of threadClock.
   */
  route(data: Uint8Array, offset: number, length: number, nowMs: number): number {
    if (length < ETHERNET_HEADER_BYTES) {
      this.#counters.add('dropped_malformed');
      return DROP;
    }
    if (this.#table.isLayer3) return this.#routeLayer3(data, offset, length, Math.floor(nowMs / 1000));
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

  #routeLayer3(data: Uint8Array, offset: number, length: number, nowSeconds: number): number {
    if (this.#table.lookup(KIND_MAC, data, offset + SOURCE_AT, nowSeconds) !== LINK_SELF) {
      return this.#drop('dropped_layer3_foreign_mac');
    }
    if (neighbourKind(data, offset, length) !== 0) return TAG_NEIGHBOUR;
    if (((data[offset + DESTINATION_AT] ?? 0) & 1) !== 0) {
      return this.#drop(isBroadcast(data, offset) ? 'dropped_layer3_broadcast' : 'dropped_layer3_multicast');
    }
    const etherType = word16(data, offset + ETHERNET_HEADER_BYTES - 2);
    if (etherType !== ETH_P_IP && etherType !== ETH_P_IPV6) return this.#drop('dropped_layer3_not_ip');
    const link = this.#table.lookup(KIND_MAC, data, offset + DESTINATION_AT, nowSeconds);
    if (link === LINK_SELF) return this.#drop('dropped_to_self');
    return link === NO_LINK ? this.#drop('dropped_layer3_unknown') : link;
  }

  #drop(reason: EgressCounter): typeof DROP {
    this.#counters.add(reason);
    return DROP;
  }
}

function isBroadcast(data: Uint8Array, offset: number): boolean {
  for (let index = 0; index < MAC_BYTES; index++) {
    if (data[offset + DESTINATION_AT + index] !== 0xff) return false;
  }
  return true;
}
