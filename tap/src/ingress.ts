import {
  addressOf,
  DatagramReceiver,
  EBADFD,
  type HotMemory,
  hotMemory,
  IoVector,
  systemCallError,
  writeFrom,
} from '@kith/posix';
import { RingConsumer, RingProducer } from '@kith/ring';
import { LINK_ALL, LINK_MEMBER } from './addresses.ts';
import { threadClock } from './clock.ts';
import {
  commandAddressAt,
  commandKind,
  commandLink,
  commandTranslation,
  TAG_BIND,
  TAG_GIVE_BACK,
  TAG_SET_TRANSLATION,
  TAG_UNBIND_ADDRESS,
  TAG_UNBIND_LINK,
} from './commands.ts';
import { Counters, INGRESS_COUNTERS } from './counters.ts';
import {
  decodeKeyed,
  TAG_ADD_RECEIVER,
  TAG_ADD_RELAY,
  TAG_REMOVE_LINK,
  TAG_REMOVE_RECEIVER,
  TAG_REMOVE_RELAY,
} from './direct-commands.ts';
import { DirectIngress } from './direct-ingress.ts';
import { DirectStats } from './direct-stats.ts';
import { DOWNLINK_HEADROOM } from './downlink.ts';
import { Fragments, fragmentBytes } from './fragments.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import { Gluer, MAX_PIECES } from './gluer.ts';
import { IngressSwitch } from './ingress-switch.ts';
import type { Pace } from './pace.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { word32 } from './wire-bytes.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/** Records between two looks at the clock and the stop word, and between two returns of ring space to the main thread. */
const BATCH = 64;
/**
 * Batches after which a worker that catches up with the main thread goes on with the socket, however fast that thread writes: as many records as commands
 * may wait for room in the ring, so that what was asked for before is done by then.
 */
const CATCH_UP_BATCHES = 64;
/**
 * Calls of the socket between two looks at the downlink and, where one worker has both directions, at TAP: there the kernel's acknowledgements wait,
 * and the other end sends no more than its TCP has room for. Where a turn took 2 MB of a stream, that end stood still now and then.
 */
const RECEIVES = 2;

/**
 * With UDP_GRO one slot takes what the kernel coalesced, up to 64 KiB; these share one call. An application that reads a stream as fast as it comes
 * falls asleep behind what a call brought, and waking it through another processor is dear: with 2 slots it was woken for each fifth super-frame, with 6
 * for each eighth. ARCHITECTURE.md has the figures of 1 to 16.
 */
const GRO_SLOTS = 6;
const GRO_SLOT_BYTES = 65_536;
/** Without it a slot takes one datagram, of a jumbo frame at most, and many share one call. */
const PLAIN_SLOTS = 32;
const PLAIN_SLOT_BYTES = 9_216;

/** From the downlink ring and the direct carrier's socket to TAP: glues chunks, writes the frames that the switch admits. */
export class Ingress {
  readonly #start: DirectionStart;
  readonly #pace: Pace;
  readonly #downlink: RingConsumer;
  readonly #counters: Counters<(typeof INGRESS_COUNTERS)[number]>;
  readonly #switch: IngressSwitch;
  readonly #vector = new IoVector(MAX_PIECES);
  readonly #clock = threadClock();
  readonly #maxFrame: number;
  /** Frames under reassembly, then the slots of the socket. */
  readonly #memory: HotMemory;
  readonly #fragments: Fragments;
  readonly #ringGluer: Gluer;
  readonly #downlinkAddress: number;
  readonly #direct: DirectIngress | null;
  /** Bytes of the downlink that the gluer may still refer to. */
  #held = 0;
  #lost = 0;
  #nowSeconds = 0;
  #hasWritten = false;

  constructor(start: DirectionStart, pace: Pace) {
    const { direct } = start;
    this.#start = start;
    this.#pace = pace;
    this.#downlink = new RingConsumer(start.ring);
    this.#downlinkAddress = addressOf(this.#downlink.bytes);
    this.#counters = new Counters(INGRESS_COUNTERS, start.counters);
    this.#switch = new IngressSwitch(start.table, this.#counters);
    this.#maxFrame = start.mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
    const slotsAt = fragmentBytes(this.#maxFrame, VIRTIO_HEADER_BYTES);
    const slots = direct?.gro === true ? GRO_SLOTS : PLAIN_SLOTS;
    const slotBytes = direct?.gro === true ? GRO_SLOT_BYTES : PLAIN_SLOT_BYTES;
    this.#memory = hotMemory(slotsAt + (direct === null ? 0 : slots * slotBytes));
    this.#fragments = new Fragments(this.#memory.bytes, 0, this.#maxFrame, VIRTIO_HEADER_BYTES);
    this.#ringGluer = this.#newGluer(this.#downlink.bytes, this.#downlinkAddress);
    this.#direct =
      direct === null
        ? null
        : this.#newDirect(
            direct,
            new DatagramReceiver(direct.socketFd, this.#memory, slotsAt, slots, slotBytes),
          );
  }

  /** As takeSocket when the socket can be read. */
  take(isSocketReadable: boolean, nowMs: number): boolean {
    this.#nowSeconds = Math.floor(nowMs / 1000);
    this.#hasWritten = false;
    return isSocketReadable && this.takeSocket(nowMs);
  }

  /** Whether TAP was given any frame since the last take() began. */
  get hasWritten(): boolean {
    return this.#hasWritten;
  }

  /**
   * Takes a batch of the main thread's frames and commands. True when that was all and the worker may sleep: the next one rings the bell. Throws
   * SystemError when the TAP device is gone.
   */
  takeRing(): boolean {
    this.#downlink.awake();
    return !this.#drainRing() && this.#downlink.announceSleep();
  }

  /** Takes a batch of datagrams; whether there may be more. `nowMs` is of threadClock. Throws as takeRing() does. */
  takeSocket(nowMs: number): boolean {
    if (this.#direct === null) return false;
    for (let count = 0; count < RECEIVES; count++) {
      // Fewer than there was room for were all, which need not be asked for once more. Whatever an asynchronous error of the socket says (ICMP of
      // some peer), the next datagram is behind it.
      if (this.#direct.receive(nowMs) < this.#direct.slots) return false;
    }
    return true;
  }

  /** Whether there may be more. */
  #drainRing(): boolean {
    const ring = this.#downlink;
    let count = 0;
    for (; count < BATCH && ring.peek(); count++) {
      if (ring.tag <= LINK_ALL) this.#chunk();
      else this.#command();
      ring.release();
    }
    this.#flushRing();
    return count === BATCH;
  }

  #chunk(): void {
    const ring = this.#downlink;
    // The ring gives space back by itself after a quarter of its capacity; what the gluer holds must be written before.
    if ((this.#held + ring.length) * 8 >= ring.bytes.length) this.#flushRing();
    this.#held += ring.length;
    const at = ring.offset + DOWNLINK_HEADROOM;
    this.#ringGluer.accept(ring.tag, at, ring.length - DOWNLINK_HEADROOM);
  }

  #flushRing(): void {
    this.#ringGluer.flush();
    this.#downlink.flush();
    this.#held = 0;
    if (this.#fragments.lost === this.#lost) return;
    this.#counters.add('dropped_fragments', this.#fragments.lost - this.#lost);
    this.#lost = this.#fragments.lost;
  }

  #newGluer(data: Uint8Array, address: number): Gluer {
    const gluer = new Gluer(
      data,
      this.#maxFrame,
      this.#start.offload,
      this.#fragments,
      this.#counters,
      (link) => {
        this.#write(link, gluer, gluer.memory === data ? address : this.#memory.address);
      },
    );
    return gluer;
  }

  #newDirect(start: DirectStart, receiver: DatagramReceiver): DirectIngress {
    const gluer = this.#newGluer(this.#memory.bytes, this.#memory.address);
    return new DirectIngress(
      this.#memory,
      receiver,
      gluer,
      new RingProducer(start.ring),
      new DirectStats(start.stats),
      this.#counters,
      this.#clock(),
      () => this.#catchUp(gluer),
    );
  }

  /** Does what the main thread asks for, behind the frames that `gluer` holds; false when there was nothing. */
  #catchUp(gluer: Gluer): boolean {
    if (!this.#downlink.peek()) return false;
    gluer.flush();
    for (let batch = 0; batch < CATCH_UP_BATCHES && this.#drainRing(); batch++);
    return true;
  }

  /** Writes the frame that a gluer made, unless its sender may not have sent it. */
  #write(link: number, gluer: Gluer, address: number): void {
    // What comes from our own main thread needs no leave.
    if (link !== LINK_MEMBER && !this.#switch.enter(link, gluer, this.#nowSeconds)) return;
    const result =
      gluer.partCount === 1
        ? writeFrom(this.#start.tapFd, address + (gluer.partAt[0] ?? 0), gluer.partBytes[0] ?? 0)
        : this.#writeParts(gluer, address);
    if (result === VIRTIO_HEADER_BYTES + gluer.frameBytes) {
      this.#hasWritten = true;
      this.#counters.add('tap_rx_frames');
      this.#counters.add('tap_rx_bytes', gluer.frameBytes);
      this.#pace.add(gluer.frameBytes);
    } else if (result === -EBADFD) {
      throw systemCallError('write to the TAP device', EBADFD);
    } else {
      // EIO while the interface is set down, ENOMEM and EAGAIN when the kernel lacks memory: Ethernet may lose frames.
      this.#counters.add('dropped_tap_write');
    }
  }

  #writeParts(gluer: Gluer, address: number): number {
    const vector = this.#vector;
    vector.reset();
    for (let part = 0; part < gluer.partCount; part++) {
      vector.add(address + (gluer.partAt[part] ?? 0), gluer.partBytes[part] ?? 0);
    }
    return vector.writeTo(this.#start.tapFd);
  }

  #command(): void {
    const ring = this.#downlink;
    // Frames before a command are judged by what held before it.
    this.#ringGluer.flush();
    switch (ring.tag) {
      case TAG_BIND:
        this.#switch.bind(
          commandLink(ring),
          commandKind(ring),
          ring.bytes,
          commandAddressAt(ring),
          this.#nowSeconds,
        );
        break;
      case TAG_GIVE_BACK:
        this.#switch.bind(
          LINK_MEMBER,
          commandKind(ring),
          ring.bytes,
          commandAddressAt(ring),
          this.#nowSeconds,
          commandLink(ring),
        );
        break;
      case TAG_UNBIND_ADDRESS:
        this.#switch.unbind(commandLink(ring), commandKind(ring), ring.bytes, commandAddressAt(ring));
        break;
      case TAG_SET_TRANSLATION:
        this.#switch.setTranslation(commandLink(ring), commandTranslation(ring));
        break;
      case TAG_UNBIND_LINK:
        this.#switch.unbindLink(commandLink(ring));
        break;
      case TAG_ADD_RECEIVER:
        this.#direct?.addReceiver(decodeKeyed(ring.bytes, ring.offset));
        ring.bytes.fill(0, ring.offset, ring.offset + ring.length);
        break;
      case TAG_REMOVE_RECEIVER:
        this.#direct?.removeReceiver(word32(ring.bytes, ring.offset));
        break;
      case TAG_REMOVE_LINK:
        this.#direct?.removeLink(commandLink(ring));
        break;
      case TAG_ADD_RELAY:
        this.#direct?.addRelay(ring.bytes.slice(ring.offset, ring.offset + ring.length));
        break;
      case TAG_REMOVE_RELAY:
        this.#direct?.removeRelay(ring.bytes.slice(ring.offset, ring.offset + ring.length));
        break;
    }
  }
}
