import { AddressTranslation } from './address-translation.ts';
import { isOwnerless, isStationMac, KIND_IP6, KIND_MAC, LINK_MEMBER } from './addresses.ts';
import type { Counters, IngressCounter } from './counters.ts';
import { DESTINATION_AT, inspectFrame, newFrameClaims, SOURCE_AT } from './frame.ts';
import type { Gluer } from './gluer.ts';
import type { LinkTranslation } from './member.ts';
import { NO_LINK } from './table-reader.ts';
import { TableWriter } from './table-writer.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

/** What a Gluer tells of its frame. */
export type GluedFrame = Pick<Gluer, 'memory' | 'frameAt' | 'frameBytes' | 'partBytes' | 'isContinued'>;

/**
 * Decides whether a frame from a link may enter TAP, and learns from those that may. No I/O; the thread that owns it is the
 * forwarding table's one writer. A frame is for TAP only: Kith does not relay between links, so no loop can arise.
 */
export class IngressSwitch {
  readonly #table: TableWriter;
  readonly #counters: Counters<IngressCounter>;
  readonly #claims = newFrameClaims();
  readonly #translations = new Map<number, AddressTranslation>();
  /** Whether translate() passed the headers of the frame at hand, which further segments of a super-frame share. */
  #isTranslated = false;

  constructor(table: SharedArrayBuffer, counters: Counters<IngressCounter>) {
    this.#table = new TableWriter(table);
    this.#counters = counters;
  }

  /** Translates the frame that a gluer made, where its link wants that, and says whether it may go to TAP, as admit() does. */
  enter(link: number, frame: GluedFrame, nowSeconds: number): boolean {
    const { memory, frameAt, frameBytes } = frame;
    if (!frame.isContinued) {
      const headBytes = (frame.partBytes[0] ?? 0) - VIRTIO_HEADER_BYTES;
      this.#isTranslated = this.translate(link, memory, frameAt, headBytes);
    } else if (!this.#isTranslated) {
      this.#counters.add('dropped_spoofed_ip');
    }
    return this.#isTranslated && this.admit(link, memory, frameAt, frameBytes, nowSeconds);
  }

  /**
   * Rewrites the addresses of a frame in place where its link wants that; to be called before admit(), once per frame. `length` bytes of
   * it stand at `offset`, all headers at least, and its virtio header before them. False when the source is not the other end's own:
   * then it is to be dropped, which is counted.
   */
  translate(link: number, data: Uint8Array, offset: number, length: number): boolean {
    if (this.#translations.size === 0) return true;
    const translation = this.#translations.get(link);
    if (translation === undefined || translation.apply(data, offset, length)) return true;
    return this.#drop('dropped_spoofed_ip');
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
    const isLayer3 = this.#table.isLayer3;
    if (isLayer3 && (claims.ipKind === 0 || claims.arpMacAt >= 0 || isGroup(data, offset))) {
      return this.#drop('dropped_not_layer3');
    }
    const sourceOwner = this.#table.owner(KIND_MAC, data, source, nowSeconds, link);
    // Behind a node of layer 3 there is nobody else: its link has the addresses that it is bound to, and no other.
    if (sourceOwner !== link && (isLayer3 || sourceOwner !== NO_LINK))
      return this.#drop('dropped_spoofed_mac');
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
   * that everybody may send from. `giver` see TableWriter.bind.
   */
  bind(
    link: number,
    kind: number,
    data: Uint8Array,
    at: number,
    nowSeconds: number,
    giver = LINK_MEMBER,
  ): void {
    const isUsable = kind === KIND_MAC ? isStationMac(data, at) : !isOwnerless(kind, data, at);
    if (!isUsable) {
      this.#counters.add('refused_bindings');
      return;
    }
    const owner = this.#table.bind(link, kind, data, at, nowSeconds, giver);
    if (owner === NO_LINK) this.#counters.add('table_full');
    else if (owner !== link) this.#counters.add('refused_bindings');
    this.#counters.set('learned_macs', this.#table.learned);
  }

  /** Takes one address from its owner, if that is `link`. */
  unbind(link: number, kind: number, data: Uint8Array, at: number): void {
    this.#table.unbind(link, kind, data, at);
    this.#counters.set('learned_macs', this.#table.learned);
  }

  /** From now on translate() translates the frames of a link, until unbindLink. */
  setTranslation(link: number, translation: LinkTranslation): void {
    this.#translations.set(link, new AddressTranslation(translation));
  }

  /** Forgets all that a link (or this node, LINK_SELF) had. */
  unbindLink(link: number): void {
    this.#translations.delete(link);
    this.#table.unbindLink(link);
    this.#counters.set('learned_macs', this.#table.learned);
  }

  #mayClaim(link: number, kind: number, data: Uint8Array, at: number, nowSeconds: number): boolean {
    const owner = this.#table.owner(kind, data, at, nowSeconds, link);
    if (owner === link) return true;
    return owner === NO_LINK && (!this.#table.isLayer3 || isOwnerless(kind, data, at));
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

/** The lowest bit of the first byte marks multicast and broadcast (IEEE 802-2014 §8.2.2). */
function isGroup(data: Uint8Array, offset: number): boolean {
  return ((data[offset + DESTINATION_AT] ?? 0) & 1) !== 0;
}
