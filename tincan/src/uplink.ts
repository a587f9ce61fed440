import { describeError } from '@kith/base';
import type { Uid } from '@kith/protocol';
import { LINK_ALL, VIRTIO_HEADER_BYTES } from '@kith/tap';
import type { Callback } from './callback.ts';
import type { Link } from './link.ts';
import type { LinkTable } from './link-table.ts';
import type { Members } from './members.ts';
import { plainFrame } from './plain-frame.ts';

const MAC_BYTES = 6;

/** Frames of applications on their way from the TAP device to the links whose data channel carries them, or to the controller. */
export class Uplink {
  readonly #me: Uid;
  readonly #links: LinkTable;
  readonly #members: Members;
  readonly #callback: Callback;
  /** Whether the egress worker sends to a link by itself. */
  readonly #isDirect: (slot: number) => boolean;
  /** Links that have something to send. */
  readonly #dirty = new Set<Link>();
  readonly counters = { dropped_no_link: 0, packets_to_controller: 0 };

  constructor(
    me: Uid,
    links: LinkTable,
    members: Members,
    callback: Callback,
    isDirect: (slot: number) => boolean,
  ) {
    this.#me = me;
    this.#links = links;
    this.#members = members;
    this.#callback = callback;
    this.#isDirect = isDirect;
  }

  /** What one read of the TAP device gave, for a link without a direct path or for all. The bytes are valid only now. */
  readonly frame = (slot: number, data: Uint8Array, offset: number, length: number): void => {
    if (slot === LINK_ALL) {
      if (this.#callback.takesPackets && this.#toController(data, offset, length)) return;
      for (const link of this.#links.all()) {
        if (!this.#isDirect(link.slot)) this.#enqueue(link, data, offset, length);
      }
      return;
    }
    const link = this.#links.bySlot(slot);
    if (link === undefined) this.counters.dropped_no_link++;
    else this.#enqueue(link, data, offset, length);
  };

  /** A frame for a member without a link, as `frame` takes it; false when the controller takes none. */
  orphan(uid: Uid | null, data: Uint8Array, offset: number, length: number): boolean {
    if (!this.#callback.takesPackets) return false;
    const frame = plainFrame(data, offset, length);
    if (frame === undefined) this.counters.dropped_no_link++;
    else {
      this.#callback.packet(this.#me, uid, frame);
      this.counters.packets_to_controller++;
    }
    return true;
  }

  /** The link is over. */
  forget(link: Link): void {
    this.#dirty.delete(link);
  }

  /** A frame that no link has: the controller gets it instead of everybody. False for one that is meant for all. */
  #toController(data: Uint8Array, offset: number, length: number): boolean {
    const macAt = offset + VIRTIO_HEADER_BYTES;
    // The lowest bit of the first byte marks multicast and broadcast (IEEE 802-2014 §8.2.2).
    if (length < VIRTIO_HEADER_BYTES + MAC_BYTES || ((data[macAt] ?? 1) & 1) !== 0) return false;
    const uid = this.#members.uidOfMac(data.subarray(macAt, macAt + MAC_BYTES));
    return this.orphan(uid ?? null, data, offset, length);
  }

  #enqueue(link: Link, data: Uint8Array, offset: number, length: number): void {
    if (link.state !== 'online') {
      this.counters.dropped_no_link++;
      return;
    }
    link.enqueue(data, offset, length);
    // One flush after the whole drain, so that frames which came together leave together.
    if (this.#dirty.size === 0) queueMicrotask(this.#flushDirty);
    this.#dirty.add(link);
  }

  readonly #flushDirty = (): void => {
    for (const link of this.#dirty) {
      try {
        link.flush();
      } catch (error) {
        link.close(`sending failed: ${describeError(error)}`);
      }
    }
    this.#dirty.clear();
  };
}
