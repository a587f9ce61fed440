import { Aead, type DatagramReceiver, type HotMemory, SOCKADDR_BYTES, sameSockaddr } from '@kith/posix';
import type { RingProducer } from '@kith/ring';
import { CHUNK_HEADER_BYTES, hasUnicast } from './chunk.ts';
import type { Counters, IngressCounter } from './counters.ts';
import {
  CHANNEL_FIRST,
  CHANNEL_HEADER_BYTES,
  CHANNEL_LAST,
  COUNTER_AT,
  DATAGRAM_HEADER_BYTES,
  DATAGRAM_OVERHEAD,
  INDEX_AT,
  STUN_TYPES,
  TAG_BYTES,
  TYPE_PLAIN,
  TYPE_PROBE,
  TYPE_PROBE_REPLY,
  TYPE_SEALED,
} from './datagram.ts';
import type { KeyedCommand } from './direct-commands.ts';
import { tagWords, wipeKeys } from './direct-keys.ts';
import {
  type DirectStats,
  FORGED,
  LAST_RECEIVED_MS,
  REPLAYED,
  RX_BYTES,
  RX_DATAGRAMS,
  RX_UNICAST,
} from './direct-stats.ts';
import type { Gluer } from './gluer.ts';
import { ReplayWindow } from './replay-window.ts';
import { TokenBucket } from './token-bucket.ts';
import { word16 } from './wire-bytes.ts';

/** Receiver indices at once: each link has two while it changes keys. */
export const MAX_RECEIVERS = 4096;

/** TURN servers at once. */
export const MAX_RELAYS = 8;

/** Largest datagram that is passed to the main thread: a probe of a jumbo frame's size. */
const MAX_CONTROL_BYTES = 9216;
/**
 * Datagrams per second for the main thread, whoever sends them: 1024 links probe once a second, and a start of many links at once
 * passes as a burst. More is an attack, and what it can cost is bounded here.
 */
const CONTROL_PER_SECOND = 4096;
const CONTROL_BURST = 1024;

/** Counters beyond this would not be exact in a double; a key ends after 2^30 datagrams. */
const COUNTER_HIGH_LIMIT = 2 ** 21;

/** The first word of a datagram: its type; the flags and the two bytes behind them are zero in this version. */
const SEALED_HEAD = TYPE_SEALED << 24;
const PLAIN_HEAD = TYPE_PLAIN << 24;

/** Of a sealed link. */
const NO_TAG = new Int32Array(0);

interface Receiver {
  readonly index: number;
  readonly link: number;
  readonly slot: number;
  /** Null: plain. */
  readonly aead: Aead | null;
  readonly tag: Int32Array;
  readonly window: ReplayWindow;
}

/**
 * The ingress worker's half of the direct carrier: takes datagrams from the socket, opens them in place and gives the chunks to the
 * gluer. What is not a genuine, fresh datagram of a known key is dropped, counted, and changes nothing. Nothing is allocated per datagram.
 */
export class DirectIngress {
  readonly #memory: HotMemory;
  readonly #view: DataView;
  readonly #receiver: DatagramReceiver;
  readonly #gluer: Gluer;
  readonly #control: RingProducer;
  readonly #stats: DirectStats;
  readonly #counters: Counters<IngressCounter>;
  readonly #limit: TokenBucket;
  readonly #catchUp: () => boolean;
  readonly #receivers = new Map<number, Receiver>();
  /** The one that opened the last datagram, which is most often that of the next. */
  #last: Receiver | null = null;
  /** Whether the source of the slot at hand was noted for `#last`, and by which channel of a TURN server it came. */
  #isSourceNoted = false;
  #notedChannel = 0;
  /** The TURN servers from which ChannelData is taken, as sockaddrs. */
  #relays: Uint8Array[] = [];
  /** Whether the slot at hand came from one of them; undefined: nobody has asked. */
  #isFromRelay: boolean | undefined;

  /**
   * @param receiver its slots lie in `memory`, as do the gluer's chunks
   * @param catchUp does what the main thread has asked for and nobody has done yet, addReceiver() among it; false when there was nothing
   */
  constructor(
    memory: HotMemory,
    receiver: DatagramReceiver,
    gluer: Gluer,
    control: RingProducer,
    stats: DirectStats,
    counters: Counters<IngressCounter>,
    nowMs: number,
    catchUp: () => boolean,
  ) {
    this.#memory = memory;
    this.#view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.byteLength);
    this.#receiver = receiver;
    this.#gluer = gluer;
    this.#control = control;
    this.#stats = stats;
    this.#counters = counters;
    this.#limit = new TokenBucket(CONTROL_PER_SECOND, CONTROL_BURST, nowMs);
    this.#catchUp = catchUp;
  }

  /** From now on datagrams with this index are received. The given keys are wiped. */
  addReceiver({ index, link, slot, keys }: KeyedCommand): void {
    this.removeReceiver(index);
    if (this.#receivers.size >= MAX_RECEIVERS) {
      wipeKeys(keys);
      this.#counters.add('table_full');
      return;
    }
    const sealed = keys.mode === 'sealed';
    this.#receivers.set(index, {
      index,
      link,
      slot,
      aead: sealed ? new Aead(keys.cipher, keys.key, keys.fixedIv, 'open', this.#memory) : null,
      tag: sealed ? NO_TAG : tagWords(keys.tag),
      window: new ReplayWindow(),
    });
    wipeKeys(keys);
  }

  removeReceiver(index: number): void {
    const receiver = this.#receivers.get(index);
    if (receiver === undefined) return;
    this.#receivers.delete(index);
    if (this.#last === receiver) this.#last = null;
    receiver.aead?.free();
    receiver.tag.fill(0);
  }

  removeLink(link: number): void {
    for (const receiver of [...this.#receivers.values()]) {
      if (receiver.link !== link) continue;
      this.removeReceiver(receiver.index);
      this.#stats.clear(receiver.slot, 'ingress');
    }
  }

  /** From now on ChannelData from this TURN server is taken. */
  addRelay(sockaddr: Uint8Array): void {
    this.removeRelay(sockaddr);
    if (this.#relays.length >= MAX_RELAYS) this.#counters.add('table_full');
    else this.#relays.push(sockaddr);
  }

  removeRelay(sockaddr: Uint8Array): void {
    this.#relays = this.#relays.filter((relay) => !sameSockaddr(relay, sockaddr));
  }

  /** How many slots one receive can fill. */
  get slots(): number {
    return this.#receiver.slots;
  }

  /** Takes what one call to the kernel gives. Returns the number of slots filled, or -errno. `nowMs` is of threadClock. */
  receive(nowMs: number): number {
    const filled = this.#receiver.receive();
    if (filled <= 0) return filled;
    this.#counters.add('direct_receives');
    this.#counters.set('direct_socket_overflow', this.#receiver.dropped);
    for (let slot = 0; slot < filled; slot++) this.#takeSlot(slot, nowMs);
    // The next call overwrites the memory in which the pieces lie.
    this.#gluer.flush();
    return filled;
  }

  #takeSlot(slot: number, nowMs: number): void {
    const receiver = this.#receiver;
    const start = receiver.at(slot);
    const end = start + receiver.length(slot);
    const segment = receiver.segmentBytes(slot);
    this.#isSourceNoted = false;
    this.#isFromRelay = undefined;
    if (receiver.truncated(slot)) {
      this.#counters.add('dropped_unknown_datagram');
      return;
    }
    for (let at = start; at < end; ) {
      const next = segment > 0 ? Math.min(at + segment, end) : end;
      this.#takeDatagram(slot, at, next - at, nowMs);
      at = next;
    }
  }

  #takeDatagram(slot: number, at: number, length: number, nowMs: number): void {
    const type = this.#memory.bytes[at] ?? 0;
    if (type === TYPE_SEALED || type === TYPE_PLAIN) {
      if (length < DATAGRAM_OVERHEAD + CHUNK_HEADER_BYTES) this.#counters.add('dropped_unknown_datagram');
      else this.#takeData(slot, at, length, 0, nowMs);
    } else if (type >= CHANNEL_FIRST && type <= CHANNEL_LAST) {
      this.#takeChannelData(slot, at, length, nowMs);
    } else if (type < STUN_TYPES || type === TYPE_PROBE || type === TYPE_PROBE_REPLY) {
      this.#takeControl(slot, at, length, nowMs);
    } else {
      this.#counters.add('dropped_unknown_datagram');
    }
  }

  /** Data by way of a TURN server: taken here without its header; probes go to the main thread with it, which knows the channels. */
  #takeChannelData(slot: number, at: number, length: number, nowMs: number): void {
    const bytes = this.#memory.bytes;
    const inner = at + CHANNEL_HEADER_BYTES;
    // A server may pad what it sends (RFC 8656 §12.5).
    const innerBytes = length < CHANNEL_HEADER_BYTES + DATAGRAM_OVERHEAD ? 0 : word16(bytes, at + 2);
    const type = bytes[inner] ?? 0;
    if (
      innerBytes < DATAGRAM_OVERHEAD ||
      innerBytes > length - CHANNEL_HEADER_BYTES ||
      !this.#isRelay(slot)
    ) {
      this.#counters.add('dropped_unknown_datagram');
    } else if (type === TYPE_PROBE || type === TYPE_PROBE_REPLY) {
      this.#takeControl(slot, at, length, nowMs);
    } else if (
      (type === TYPE_SEALED || type === TYPE_PLAIN) &&
      innerBytes >= DATAGRAM_OVERHEAD + CHUNK_HEADER_BYTES
    ) {
      this.#takeData(slot, inner, innerBytes, word16(bytes, at), nowMs);
    } else {
      this.#counters.add('dropped_unknown_datagram');
    }
  }

  #isRelay(slot: number): boolean {
    if (this.#isFromRelay === undefined) {
      const source = this.#receiver.source(slot);
      this.#isFromRelay = false;
      for (const relay of this.#relays) if (sameSockaddr(relay, source)) this.#isFromRelay = true;
    }
    return this.#isFromRelay;
  }

  /** @param channel of the TURN server that it came from; 0: from the peer itself */
  #takeData(slot: number, at: number, length: number, channel: number, nowMs: number): void {
    const view = this.#view;
    const receiver = this.#receiverOf(view.getInt32(at + INDEX_AT));
    if (receiver === null || view.getInt32(at) !== (receiver.aead === null ? PLAIN_HEAD : SEALED_HEAD)) {
      this.#counters.add('dropped_unknown_receiver');
      return;
    }
    const high = view.getUint32(at + COUNTER_AT);
    const counter = high * 0x1_0000_0000 + view.getUint32(at + COUNTER_AT + 4);
    if (high >= COUNTER_HIGH_LIMIT || !receiver.window.isFresh(counter)) {
      this.#counters.add('dropped_replayed');
      this.#stats.add(receiver.slot, REPLAYED, 1);
      return;
    }
    const chunkBytes = length - DATAGRAM_OVERHEAD;
    const isGenuine =
      receiver.aead === null
        ? this.#hasTag(receiver.tag, at + length - TAG_BYTES)
        : receiver.aead.open(at, chunkBytes);
    if (!isGenuine) {
      this.#counters.add('dropped_forged');
      this.#stats.add(receiver.slot, FORGED, 1);
      return;
    }
    receiver.window.commit(counter);
    this.#stats.add(receiver.slot, RX_BYTES, length);
    this.#stats.add(receiver.slot, RX_DATAGRAMS, 1);
    const chunkAt = at + DATAGRAM_HEADER_BYTES;
    // Before the gluer writes into it.
    if (hasUnicast(this.#memory.bytes, chunkAt, chunkBytes)) this.#stats.use(receiver.slot, RX_UNICAST);
    if (!this.#isSourceNoted || channel !== this.#notedChannel) {
      this.#isSourceNoted = true;
      this.#notedChannel = channel;
      this.#stats.set(receiver.slot, LAST_RECEIVED_MS, nowMs);
      this.#stats.setSource(receiver.slot, this.#receiver.source(slot), channel);
    }
    this.#gluer.accept(receiver.link, chunkAt, chunkBytes);
  }

  #receiverOf(index: number): Receiver | null {
    if (this.#last?.index === index) return this.#last;
    let receiver = this.#receivers.get(index);
    // The other end may use a key as soon as our main thread has told it so, before this thread has seen the command to add it.
    if (receiver === undefined && this.#catchUp()) receiver = this.#receivers.get(index);
    if (receiver === undefined) return null;
    this.#last = receiver;
    this.#isSourceNoted = false;
    return receiver;
  }

  /** In a time that does not depend on where the first difference is. */
  #hasTag(tag: Int32Array, at: number): boolean {
    const view = this.#view;
    const low = ((tag[0] ?? 0) ^ view.getInt32(at)) | ((tag[1] ?? 0) ^ view.getInt32(at + 4));
    const high = ((tag[2] ?? 0) ^ view.getInt32(at + 8)) | ((tag[3] ?? 0) ^ view.getInt32(at + 12));
    return (low | high) === 0;
  }

  #takeControl(slot: number, at: number, length: number, nowMs: number): void {
    if (length > MAX_CONTROL_BYTES || !this.#limit.take(nowMs)) {
      this.#counters.add('dropped_control_limited');
      return;
    }
    const ring = this.#control;
    const target = ring.reserve(SOCKADDR_BYTES + length);
    if (target < 0) {
      this.#counters.add('dropped_control_full');
      return;
    }
    ring.bytes.set(this.#receiver.source(slot), target);
    ring.bytes.set(this.#memory.bytes.subarray(at, at + length), target + SOCKADDR_BYTES);
    ring.commit(SOCKADDR_BYTES + length, 0);
    if (ring.publish()) ring.wakeSleeper();
  }
}
