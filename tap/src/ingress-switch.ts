import { isOwnerless, isStationMac, KIND_IP6, KIND_MAC } from './addresses.ts';
import type { Counters, IngressCounter } from './counters.ts';
import { inspectFrame, newFrameClaims, SOURCE_AT } from './frame.ts';
import { NO_LINK } from './table-reader.ts';
import { TableWriter } from './table-writer.ts';

/**
 * Decides whether a frame from a link may enter TAP, and learns from those that may. No I/O; the thread that owns it is the
 * forwarding table's one writer. A frame is for TAP only: Kith does not relay between links, so no loop can arise.
 */
export class IngressSwitch {
  readonly #table: TableWriter;
  readonly #counters: Counters<IngressCounter>;
  readonly #claims = newFrameClaims();

  constructor(table: SharedArrayBuffer, counters: Counters<IngressCounter>) {
    this.#table = new TableWriter(table);
    this.#counters = counters;
  }

  /**
   * Whether the frame may go to TAP; if not, why is counted. `nowSeconds` is of threadClock. Of a super-frame only the headers need
   * to stand in `data`: the payload of TCP and UDP is not looked at.
   */
  admit(link: number, data: Uint8Array, offset: number, length: number, nowSeconds: number): boolean {
    const source = offset + SOURCE_AT;
    const claims = this.#claims;
    if (!inspectFrame(data, offset, length, claims) || !isStationMac(data, source)) {
      return this.#drop('dropped_malformed');
    }
    const sourceOwner = this.#table.owner(KIND_MAC, data, source, nowSeconds, link);
    if (sourceOwner !== NO_LINK && sourceOwner !== link) return this.#drop('dropped_spoofed_mac');
    if (claims.arpMacAt >= 0 && !this.#mayClaim(link, KIND_MAC, data, claims.arpMacAt, nowSeconds)) {
      return this.#drop('dropped_spoofed_mac');
    }
    if (claims.ipKind !== 0 && !this.#mayClaim(link, claims.ipKind, data, claims.ipAt, nowSeconds)) {
      return this.#drop('dropped_spoofed_ip');
    }
    if (claims.advertisedAt >= 0 && !this.#mayClaim(link, KIND_IP6, data, claims.advertisedAt, nowSeconds)) {
      return this.#drop('dropped_spoofed_ip');
    }
    if (sourceOwner === NO_LINK) this.#learn(link, data, source, nowSeconds);
    return true;
  }

  /**
   * Binds an address for good. Refused and counted: a claim to what another link or this node bound before, and to addresses
   * that everybody may send from.
   */
  bind(link: number, kind: number, data: Uint8Array, at: number, nowSeconds: number): void {
    const isUsable = kind === KIND_MAC ? isStationMac(data, at) : !isOwnerless(kind, data, at);
    if (!isUsable) {
      this.#counters.add('refused_bindings');
      return;
    }
    const owner = this.#table.bind(link, kind, data, at, nowSeconds);
    if (owner === NO_LINK) this.#counters.add('table_full');
    else if (owner !== link) this.#counters.add('refused_bindings');
    this.#counters.set('learned_macs', this.#table.learned);
  }

  /** Forgets all that a link (or this node, LINK_SELF) had. */
  unbindLink(link: number): void {
    this.#table.unbindLink(link);
    this.#counters.set('learned_macs', this.#table.learned);
  }

  #mayClaim(link: number, kind: number, data: Uint8Array, at: number, nowSeconds: number): boolean {
    const owner = this.#table.owner(kind, data, at, nowSeconds, link);
    return owner === NO_LINK || owner === link;
  }

  #learn(link: number, data: Uint8Array, source: number, nowSeconds: number): void {
    if (!this.#table.learn(link, data, source, nowSeconds)) this.#counters.add('table_full');
    this.#counters.set('learned_macs', this.#table.learned);
  }

  #drop(reason: IngressCounter): false {
    this.#counters.add(reason);
    return false;
  }
}
