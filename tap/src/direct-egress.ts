import {
  Aead,
  type DatagramSender,
  EAGAIN,
  EINVAL,
  EIO,
  ENOBUFS,
  type HotMemory,
  hotMemory,
} from '@kith/posix';
import { BUNDLE_RECORD_BYTES, CHUNK_BUNDLE, CHUNK_HEADER_BYTES, writeChunkHeader } from './chunk.ts';
import { Chunker } from './chunker.ts';
import type { Counting, EgressCounter } from './counters.ts';
import {
  CHANNEL_HEADER_BYTES,
  COUNTER_AT,
  DATAGRAM_HEADER_BYTES,
  DATAGRAM_OVERHEAD,
  INDEX_AT,
  MAX_UDP_PAYLOAD,
  TYPE_PLAIN,
  TYPE_SEALED,
} from './datagram.ts';
import type { KeyedCommand, PathCommand } from './direct-commands.ts';
import { tagWords, wipeKeys } from './direct-keys.ts';
import {
  DIRECT_LINKS,
  type DirectStats,
  SENT_SINCE_REKEY,
  TX_BYTES,
  TX_DATAGRAMS,
  TX_UNICAST,
} from './direct-stats.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { putWord16 } from './wire-bytes.ts';

/** UDP_MAX_SEGMENTS of kernels before 6.9, less the one by which their check of the UDP header's 8 bytes may exceed it. */
const MAX_SEGMENTS = 63;

/** Frames up to this much of a datagram wait for company: two or more of them share it, its seal and its headers. */
const BUNDLE_SHARE = 0.5;

/** Bytes of hot memory that DirectEgress takes for its datagrams: two full sends, and one datagram that is being written. */
export const DIRECT_EGRESS_BYTES = 3 * 65_536;

/** A sockaddr has 28 bytes at most; 32 keep each one aligned. */
const SOCKADDR_STRIDE = 32;

/** Of a sealed link. */
const NO_TAG = new Int32Array(0);

/** A link's way out. */
interface Sender {
  readonly link: number;
  readonly slot: number;
  readonly peerIndex: number;
  /** Null: the link is plain, and `tag` ends its datagrams. */
  readonly aead: Aead | null;
  readonly tag: Int32Array;
  plainCounter: number;
  /** Set with the path; 0: none. */
  datagramBytes: number;
  /** Of the TURN server at the sockaddr; 0: the peer is there itself. */
  channel: number;
  /** Bytes in front of our own header: ChannelData's, or none. */
  prefixBytes: number;
  sockaddrAddress: number;
  sockaddrLength: number;
}

/** What sends datagrams: a DatagramSender, or a test's. */
export type Outlet = Pick<DatagramSender, 'send' | 'add' | 'flush' | 'drop' | 'pending'>;

/** Told when a send failed; a number of errno. */
export type PathErrorHandler = (link: number, errno: number) => void;

/** The egress worker's half: cuts frames into chunks, seals them side by side, sends them in few calls; allocates nothing per frame. */
export class DirectEgress {
  readonly #memory: HotMemory;
  readonly #view: DataView;
  /** Datagrams are written from here to the end of the memory. */
  readonly #outAt: number;
  /** A sockaddr for each slot of the statistics, where the kernel reads it. */
  readonly #sockaddrs = hotMemory(DIRECT_LINKS * SOCKADDR_STRIDE);
  readonly #sender: Outlet;
  readonly #awaitRoom: () => void;
  readonly #stats: DirectStats;
  readonly #counters: Counting<EgressCounter>;
  readonly #onPathError: PathErrorHandler;
  readonly #chunker = new Chunker();
  readonly #senders = new Map<number, Sender>();
  /** Paths that came before their keys. */
  readonly #paths = new Map<number, PathCommand>();
  /** The senders that have a path, for floods. */
  #ready: Sender[] = [];
  #isUsed = false;
  #hasGso: boolean;

  /** Datagrams that wait to leave in one send: all for one sender, all of `#segment` bytes but the last. */
  #runSender: Sender | null = null;
  #runAt: number;
  #runEnd: number;
  #runCount = 0;
  #segment = 0;
  /** The last datagram is shorter, so that none may follow. */
  #isRunClosed = false;
  /** A datagram of small frames that is being filled at `#runEnd`: bytes of its chunk so far; 0: none. */
  #bundleBytes = 0;
  #bundleSender: Sender | null = null;

  /**
   * @param memory its bytes from `outAt` on are used; the frames lie before
   * @param awaitRoom waits until the socket of `sender` has room in its buffer, for some time at most
   */
  constructor(
    memory: HotMemory,
    outAt: number,
    awaitRoom: () => void,
    sender: Outlet,
    hasGso: boolean,
    stats: DirectStats,
    counters: Counting<EgressCounter>,
    onPathError: PathErrorHandler,
  ) {
    this.#memory = memory;
    this.#view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.byteLength);
    this.#outAt = outAt;
    this.#runAt = this.#outAt;
    this.#runEnd = this.#outAt;
    this.#sender = sender;
    this.#awaitRoom = awaitRoom;
    this.#hasGso = hasGso;
    this.#stats = stats;
    this.#counters = counters;
    this.#onPathError = onPathError;
  }

  /** Whether any link has a direct path. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Whether frames for a link can go out here. */
  carries(link: number): boolean {
    const sender = this.#senders.get(link);
    return sender !== undefined && sender.datagramBytes > 0;
  }

  /** New keys; the old ones are wiped, and the counter starts anew. The given ones are wiped as well. */
  setSender({ link, slot, index, keys }: KeyedCommand): void {
    this.flush();
    const old = this.#senders.get(link);
    const sealed = keys.mode === 'sealed';
    const aead = sealed ? new Aead(keys.cipher, keys.key, keys.fixedIv, 'seal', this.#memory) : null;
    const sender: Sender = {
      link,
      slot,
      peerIndex: index,
      aead,
      tag: sealed ? NO_TAG : tagWords(keys.tag),
      plainCounter: 0,
      datagramBytes: 0,
      channel: 0,
      prefixBytes: 0,
      sockaddrAddress: 0,
      sockaddrLength: 0,
    };
    wipeKeys(keys);
    old?.aead?.free();
    old?.tag.fill(0);
    this.#senders.set(link, sender);
    this.#stats.set(slot, SENT_SINCE_REKEY, 0);
    const path = this.#paths.get(link);
    if (path) this.#usePath(sender, path);
    this.#listReady();
  }

  setPath(path: PathCommand): void {
    this.flush();
    this.#paths.set(path.link, path);
    const sender = this.#senders.get(path.link);
    if (sender !== undefined) this.#usePath(sender, path);
    this.#listReady();
  }

  clearPath(link: number): void {
    this.flush();
    this.#paths.delete(link);
    const sender = this.#senders.get(link);
    if (sender !== undefined) sender.datagramBytes = 0;
    this.#listReady();
  }

  removeLink(link: number): void {
    this.clearPath(link);
    const sender = this.#senders.get(link);
    if (sender === undefined) return;
    this.#senders.delete(link);
    sender.aead?.free();
    sender.tag.fill(0);
    this.#stats.clear(sender.slot, 'egress');
    this.#listReady();
  }

  /**
   * Queues what one read of the TAP device put into the memory at `at` (virtio header and frame) for a link; false when the link has
   * no direct path. It leaves with the next flush() at the latest.
   */
  send(link: number, at: number, length: number): boolean {
    const sender = this.#senders.get(link);
    if (sender === undefined || sender.datagramBytes === 0) return false;
    this.#stats.use(sender.slot, TX_UNICAST);
    this.#send(sender, at, length);
    return true;
  }

  /** Queues a frame for every link that has a direct path. */
  sendToAll(at: number, length: number): void {
    for (const sender of this.#ready) this.#send(sender, at, length);
  }

  /** Sends all that waits. */
  flush(): void {
    this.#closeBundle();
    this.#sendRun();
  }

  #send(sender: Sender, at: number, length: number): void {
    const room = sender.datagramBytes - sender.prefixBytes - DATAGRAM_OVERHEAD;
    const chunker = this.#chunker;
    if (!chunker.begin(this.#memory.bytes, at, length)) {
      this.#counters.add('dropped_malformed');
      return;
    }
    const frameBytes = length - VIRTIO_HEADER_BYTES;
    if (chunker.isWhole && frameBytes <= room * BUNDLE_SHARE) {
      this.#bundle(sender, at + VIRTIO_HEADER_BYTES, frameBytes, chunker.flags, room);
      return;
    }
    this.#closeBundle();
    for (;;) {
      this.#makeRoom(sender);
      const at = this.#runEnd + sender.prefixBytes + DATAGRAM_HEADER_BYTES;
      const bytes = chunker.next(this.#memory.bytes, at, room);
      if (bytes === 0) return;
      this.#finish(sender, bytes);
    }
  }

  #bundle(sender: Sender, frameAt: number, frameBytes: number, flags: number, room: number): void {
    const need = BUNDLE_RECORD_BYTES + frameBytes;
    if (this.#bundleSender !== sender || this.#bundleBytes + need > room) {
      this.#closeBundle();
      this.#makeRoom(sender);
      const chunkAt = this.#runEnd + sender.prefixBytes + DATAGRAM_HEADER_BYTES;
      writeChunkHeader(this.#memory.bytes, chunkAt, CHUNK_BUNDLE, 0, 0, 0, 0);
      this.#bundleSender = sender;
      this.#bundleBytes = CHUNK_HEADER_BYTES;
    }
    const bytes = this.#memory.bytes;
    const at = this.#runEnd + sender.prefixBytes + DATAGRAM_HEADER_BYTES + this.#bundleBytes;
    bytes[at] = flags;
    putWord16(bytes, at + 1, frameBytes);
    bytes.copyWithin(at + BUNDLE_RECORD_BYTES, frameAt, frameAt + frameBytes);
    this.#bundleBytes += need;
  }

  #closeBundle(): void {
    const sender = this.#bundleSender;
    if (sender === null) return;
    this.#bundleSender = null;
    const bytes = this.#bundleBytes;
    this.#bundleBytes = 0;
    this.#finish(sender, bytes);
  }

  /** Sees to it that a full datagram for `sender` can be written at `#runEnd`, which may mean to send what is before. */
  #makeRoom(sender: Sender): void {
    const next = this.#runEnd + sender.datagramBytes;
    const isFull = this.#runCount === MAX_SEGMENTS || next - this.#runAt > MAX_UDP_PAYLOAD;
    if (this.#runSender !== sender || this.#isRunClosed || isFull) this.#sendRun();
    if (this.#runEnd + sender.datagramBytes > this.#memory.bytes.length) this.#sendRun();
  }

  /** Makes a datagram of the chunk at `#runEnd` and adds it to the run; what was in the run leaves first when the sizes forbid it. */
  #finish(sender: Sender, chunkBytes: number): void {
    const at = this.#runEnd;
    const { prefixBytes } = sender;
    const length = prefixBytes + DATAGRAM_OVERHEAD + chunkBytes;
    if (!this.#seal(sender, at + prefixBytes, chunkBytes)) {
      this.#counters.add('dropped_direct_send');
      return;
    }
    if (prefixBytes > 0) {
      putWord16(this.#memory.bytes, at, sender.channel);
      putWord16(this.#memory.bytes, at + 2, length - prefixBytes);
    }
    if (this.#runCount > 0 && length > this.#segment) {
      // It stays where it is and begins a run of its own.
      this.#sendRun(at);
    }
    if (this.#runCount === 0) {
      this.#runSender = sender;
      this.#runAt = at;
      this.#segment = length;
    }
    this.#isRunClosed = length < this.#segment;
    this.#runCount++;
    this.#runEnd = at + length;
    this.#stats.add(sender.slot, TX_BYTES, length - prefixBytes);
    this.#stats.add(sender.slot, TX_DATAGRAMS, 1);
    this.#stats.add(sender.slot, SENT_SINCE_REKEY, 1);
  }

  #seal(sender: Sender, at: number, chunkBytes: number): boolean {
    const view = this.#view;
    view.setInt32(at, (sender.aead === null ? TYPE_PLAIN : TYPE_SEALED) << 24);
    view.setInt32(at + INDEX_AT, sender.peerIndex);
    // The AEAD counts by itself, so that no caller can make a nonce repeat.
    if (sender.aead !== null) return sender.aead.seal(at, chunkBytes);
    const counter = sender.plainCounter++;
    view.setInt32(at + COUNTER_AT, Math.floor(counter / 0x1_0000_0000));
    view.setInt32(at + COUNTER_AT + 4, counter);
    const tagAt = at + DATAGRAM_HEADER_BYTES + chunkBytes;
    const { tag } = sender;
    view.setInt32(tagAt, tag[0] ?? 0);
    view.setInt32(tagAt + 4, tag[1] ?? 0);
    view.setInt32(tagAt + 8, tag[2] ?? 0);
    view.setInt32(tagAt + 12, tag[3] ?? 0);
    return true;
  }

  /** Hands the run to the kernel; the next one begins at `nextAt`. */
  #sendRun(nextAt = this.#outAt): void {
    const sender = this.#runSender;
    if (sender !== null && this.#runCount > 0) {
      const length = this.#runEnd - this.#runAt;
      if (this.#hasGso || this.#runCount === 1) this.#sendSegments(sender, length);
      else this.#sendSingly(sender);
    }
    this.#runSender = null;
    this.#runCount = 0;
    this.#isRunClosed = false;
    this.#runAt = nextAt;
    this.#runEnd = nextAt;
  }

  #sendSegments(sender: Sender, length: number): void {
    const segment = this.#runCount > 1 ? this.#segment : 0;
    const result = this.#sendNow(sender, this.#runAt, length, segment);
    if (result >= 0) return;
    if (segment > 0 && (result === -EIO || result === -EINVAL)) {
      // The network card cannot checksum (EIO) or the kernel cannot segment: never again, and this batch goes one by one.
      this.#hasGso = false;
      this.#counters.add('direct_gso_disabled');
      this.#sendSingly(sender);
      return;
    }
    this.#failed(sender, result, this.#runCount);
  }

  /** One datagram per message, many messages per call. */
  #sendSingly(sender: Sender): void {
    const { sockaddrAddress, sockaddrLength } = sender;
    for (let at = this.#runAt; at < this.#runEnd; at += this.#segment) {
      const length = Math.min(this.#segment, this.#runEnd - at);
      this.#sender.add(sockaddrAddress, sockaddrLength, this.#memory.address + at, length, 0);
    }
    let hasWaited = false;
    while (this.#sender.pending > 0) {
      this.#counters.add('direct_sends');
      const result = this.#sender.flush();
      if (result >= 0) continue;
      if (result === -EAGAIN && !hasWaited) {
        hasWaited = true;
        this.#wait();
        continue;
      }
      this.#sender.drop();
      this.#failed(sender, result, 1);
    }
  }

  /** Sends once more after a full buffer had some time to drain. */
  #sendNow(sender: Sender, at: number, length: number, segment: number): number {
    this.#counters.add('direct_sends');
    const { sockaddrAddress, sockaddrLength } = sender;
    const address = this.#memory.address + at;
    const result = this.#sender.send(sockaddrAddress, sockaddrLength, address, length, segment);
    if (result !== -EAGAIN) return result;
    this.#wait();
    return this.#sender.send(sockaddrAddress, sockaddrLength, address, length, segment);
  }

  #wait(): void {
    this.#counters.add('direct_send_waits');
    this.#awaitRoom();
  }

  #failed(sender: Sender, result: number, datagrams: number): void {
    this.#counters.add('dropped_direct_send', datagrams);
    // A full queue says nothing about the path.
    if (result !== -EAGAIN && result !== -ENOBUFS) this.#onPathError(sender.link, -result);
  }

  #usePath(sender: Sender, path: PathCommand): void {
    sender.datagramBytes = path.datagramBytes;
    sender.channel = path.channel;
    sender.prefixBytes = path.channel === 0 ? 0 : CHANNEL_HEADER_BYTES;
    sender.sockaddrLength = path.sockaddrLength;
    this.#sockaddrs.bytes.set(path.sockaddr, sender.slot * SOCKADDR_STRIDE);
    sender.sockaddrAddress = this.#sockaddrs.address + sender.slot * SOCKADDR_STRIDE;
  }

  #listReady(): void {
    this.#ready = [...this.#senders.values()].filter(({ datagramBytes }) => datagramBytes > 0);
    this.#isUsed = this.#ready.length > 0;
  }
}
