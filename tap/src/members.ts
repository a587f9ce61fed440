import type { Timers } from '@kith/base';
import { KIND_IP4, KIND_IP6, KIND_MAC, LINK_ALL, LINK_MEMBER } from './addresses.ts';
import { encodeBind, TAG_BIND, TAG_GIVE_BACK, TAG_NEIGHBOUR, TAG_UNBIND_ADDRESS } from './commands.ts';
import type { Counters, MainCounter } from './counters.ts';
import { Directory } from './directory.ts';
import { DESTINATION_AT } from './frame.ts';
import { HeldFrames } from './held-frames.ts';
import { assertMember, type Member } from './member.ts';
import {
  advertisement,
  answerNeighbour,
  gratuitousArp,
  type NeighbourMac,
  neighbourKind,
} from './neighbour-responder.ts';
import type { UplinkHandler } from './uplink-drain.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

/** Told that frames wait for a member's link; at most once per WANTED_INTERVAL_MS and member. */
export type WantedHandler = (uid: string) => void;

/** May take a frame for a member without a link, as UplinkHandler gets it; false: it is to wait. */
export type OrphanHandler = (uid: string, data: Uint8Array, offset: number, length: number) => boolean;

/** Fast enough to begin again soon after an attempt failed, slow enough that a full queue of frames is no flood of messages. */
const WANTED_INTERVAL_MS = 1000;
/** How often frames are looked at that waited too long. */
const EXPIRY_MS = 1000;

/** This node's own addresses. */
export interface OwnAddresses {
  readonly mac: Uint8Array;
  readonly ip4: Uint8Array | null;
}

/** What Members works through; the Tap that owns it makes and closes all of it. */
export interface MemberParts {
  /** A command to the ingress worker. */
  readonly command: (tag: number, payload: Uint8Array) => void;
  /** Hands a frame to this node's own kernel; dropped and counted when there is no room. */
  readonly inject: (frame: Uint8Array) => void;
  readonly own: () => OwnAddresses;
  readonly nowMs: () => number;
  readonly timers: Timers;
  readonly counters: Counters<MainCounter>;
}

/**
 * The main thread's part for members: answers ARP and neighbour discovery in their place, keeps what is sent to them until their link
 * is there, and tells this node's kernel of addresses that came up, so that what waits inside it for an answer leaves at once.
 */
export class Members {
  readonly #parts: MemberParts;
  readonly #directory = new Directory();
  readonly #held = new HeldFrames();
  readonly #wantedAt = new Map<string, number>();
  /** Addresses that are kept for their nodes, as text and bytes. */
  #kept: ReadonlyMap<string, Uint8Array> = new Map();
  /** Links whose other end answers nobody's questions itself. */
  readonly #silent = new Set<number>();
  #handler: UplinkHandler | undefined;
  #wantedHandler: WantedHandler | undefined;
  #orphanHandler: OrphanHandler | undefined;
  #isOnDemand = false;

  constructor(parts: MemberParts) {
    this.#parts = parts;
  }

  /** Where frames go that are not to be dealt with here. */
  forwardTo(handler: UplinkHandler): void {
    this.#handler = handler;
  }

  onWanted(handler: WantedHandler): void {
    this.#wantedHandler = handler;
  }

  onOrphan(handler: OrphanHandler): void {
    this.#orphanHandler = handler;
  }

  /** See NetworkMode. */
  setMode(isOnDemand: boolean, kept: readonly Uint8Array[]): void {
    this.#isOnDemand = isOnDemand;
    this.#keep(kept);
  }

  /** See Tap.setMember. */
  set(member: Member): void {
    assertMember(member);
    const oldMac = this.#directory.setMember(member);
    if (oldMac !== undefined) this.#release(oldMac);
    if (this.#directory.linkOfMember(member.uid) === undefined) this.#claim(member.mac);
    this.#tellGained();
    this.#parts.counters.set('members', this.#directory.size);
  }

  /** See Tap.removeMember. */
  remove(uid: string): void {
    const isLinked = this.#directory.linkOfMember(uid) !== undefined;
    const member = this.#directory.removeMember(uid);
    if (member === undefined) return;
    if (!isLinked) this.#release(member.mac);
    this.#wantedAt.delete(uid);
    this.#tellGained();
    this.#count('dropped_held_removed', this.#held.take(uid).length);
    this.#parts.counters.set('members', this.#directory.size);
  }

  /** A link was bound to an address, and the ingress worker knows. */
  bound(link: number, kind: number, address: Uint8Array): void {
    const isOwner = this.#directory.bound(link, kind, address);
    const mac = this.#directory.macOfLink(link);
    if (isOwner && kind !== KIND_MAC && mac !== undefined) this.#announce(mac, kind, address);
  }

  /**
   * Sends what waited for a link, which has been bound.
   * @param isSilent the other end answers no ARP or neighbour discovery: until `unbinding` that is done here although the link is there
   */
  flush(link: number, isSilent = false): void {
    if (isSilent) this.#silent.add(link);
    const mac = this.#directory.macOfLink(link);
    const member = mac === undefined ? undefined : this.#directory.memberOfMac(mac, 0);
    if (member === undefined) return;
    this.#wantedAt.delete(member.uid);
    for (const bytes of this.#held.take(member.uid)) this.#handler?.(link, bytes, 0, bytes.length);
    this.#tellHeld();
  }

  /** A link is about to be unbound: what is kept for its node is taken back first, so that what is sent to it waits from then on. */
  unbinding(link: number): void {
    this.#silent.delete(link);
    const kept = [...this.#kept.values()];
    const given = kept.filter((address) => this.#directory.neighbour(KIND_IP4, address, 0)?.link === link);
    const member = this.#directory.unbound(link);
    if (member !== undefined) this.#takeBack(link, KIND_MAC, member.mac);
    for (const address of given) {
      if (this.#directory.neighbour(KIND_IP4, address, 0)?.link === undefined)
        this.#takeBack(link, KIND_IP4, address);
    }
  }

  /** Takes what came out of the uplink ring under a tag that is not one link's. */
  receive(tag: number, data: Uint8Array, offset: number, length: number): void {
    if (tag === TAG_NEIGHBOUR) {
      if (!this.#answer(data, offset, length, this.#anyNeighbour)) this.#count('dropped_unanswered');
    } else if (tag === LINK_MEMBER) {
      this.#toMember(data, offset, length);
    } else if (tag !== LINK_ALL || !this.#answer(data, offset, length, this.#silentNeighbour)) {
      this.#handler?.(tag, data, offset, length);
    }
  }

  #keep(addresses: readonly Uint8Array[]): void {
    const before = this.#kept;
    this.#kept = new Map(addresses.map((address) => [address.join('.'), Uint8Array.from(address)]));
    for (const [text, address] of before) {
      if (this.#kept.has(text)) continue;
      this.#parts.command(TAG_UNBIND_ADDRESS, encodeBind(LINK_MEMBER, KIND_IP4, address));
    }
    for (const [text, address] of this.#kept) if (!before.has(text)) this.#reserve(address);
  }

  /** A link that is bound to the address takes it, and gives it back when it ends. */
  #reserve(address: Uint8Array): void {
    if (this.#directory.neighbour(KIND_IP4, address, 0)?.link !== undefined) return;
    this.#parts.command(TAG_BIND, encodeBind(LINK_MEMBER, KIND_IP4, address));
  }

  #toMember(data: Uint8Array, offset: number, length: number): void {
    const member = this.#directory.memberOfMac(data, offset + VIRTIO_HEADER_BYTES + DESTINATION_AT);
    if (member === undefined) {
      this.#count('dropped_held_removed');
      return;
    }
    const link = this.#directory.linkOfMember(member.uid);
    if (link !== undefined) {
      // It was on its way here when the link came up.
      this.#handler?.(link, data, offset, length);
    } else if (
      !this.#answer(data, offset, length, this.#silentNeighbour) &&
      this.#orphanHandler?.(member.uid, data, offset, length) !== true
    ) {
      this.#hold(member.uid, data, offset, length);
    }
  }

  #hold(uid: string, data: Uint8Array, offset: number, length: number): void {
    const { nowMs, timers } = this.#parts;
    const now = nowMs();
    if (!this.#held.hold(uid, data, offset, length, now)) this.#count('dropped_held_full');
    this.#tellHeld();
    if (!timers.has('held frames')) timers.every('held frames', EXPIRY_MS, this.#expire);
    if (
      !this.#isOnDemand ||
      now - (this.#wantedAt.get(uid) ?? Number.NEGATIVE_INFINITY) < WANTED_INTERVAL_MS
    ) {
      return;
    }
    this.#wantedAt.set(uid, now);
    this.#wantedHandler?.(uid);
  }

  readonly #expire = (): void => {
    this.#count('dropped_held_expired', this.#held.expire(this.#parts.nowMs()));
    this.#tellHeld();
    if (this.#held.frames === 0) this.#parts.timers.clear('held frames');
  };

  #tellGained(): void {
    for (const { mac, kind, address } of this.#directory.takeGained()) {
      // What a link has bound was told before.
      if (this.#directory.neighbour(kind, address, 0)?.mac === mac) this.#announce(mac, kind, address);
    }
  }

  /**
   * Tells the kernel where an address is, without having been asked. An entry of its neighbour table that waits for an answer takes
   * it (neigh_update of net/core/neighbour.c), and sends what it queued, rather than ask again a second later; one that names another
   * MAC takes it too, rather than half a minute later; where there is no entry it makes none.
   */
  #announce(mac: Uint8Array, kind: number, address: Uint8Array): void {
    const own = this.#parts.own();
    if (kind === KIND_IP6) this.#parts.inject(advertisement(mac, address, own.mac, null));
    else if (own.ip4 !== null) this.#parts.inject(gratuitousArp(mac, address, own.mac));
  }

  /** Whether the frame asks for an address that is answered for here. */
  #answer(data: Uint8Array, offset: number, length: number, macOf: NeighbourMac): boolean {
    const frameAt = offset + VIRTIO_HEADER_BYTES;
    const frameBytes = length - VIRTIO_HEADER_BYTES;
    if (neighbourKind(data, frameAt, frameBytes) === 0) return false;
    const answer = answerNeighbour(data, frameAt, frameBytes, macOf);
    if (answer === null) return false;
    this.#count('neighbour_answers');
    this.#parts.inject(answer);
    return true;
  }

  readonly #anyNeighbour = (kind: number, data: Uint8Array, at: number): Uint8Array | undefined =>
    this.#directory.neighbour(kind, data, at)?.mac;

  readonly #silentNeighbour = (kind: number, data: Uint8Array, at: number): Uint8Array | undefined => {
    const neighbour = this.#directory.neighbour(kind, data, at);
    const isSilent = neighbour?.link === undefined || this.#silent.has(neighbour.link);
    return isSilent ? neighbour?.mac : undefined;
  };

  #claim(mac: Uint8Array): void {
    this.#parts.command(TAG_BIND, encodeBind(LINK_MEMBER, KIND_MAC, mac));
  }

  #takeBack(link: number, kind: number, address: Uint8Array): void {
    this.#parts.command(TAG_GIVE_BACK, encodeBind(link, kind, address));
  }

  #release(mac: Uint8Array): void {
    this.#parts.command(TAG_UNBIND_ADDRESS, encodeBind(LINK_MEMBER, KIND_MAC, mac));
  }

  #tellHeld(): void {
    this.#parts.counters.set('held_frames', this.#held.frames);
  }

  #count(name: MainCounter, amount = 1): void {
    if (amount > 0) this.#parts.counters.add(name, amount);
  }
}
