import {
  addressOf,
  DatagramSender,
  EventFd,
  encodeSockaddr,
  readInto,
  SOCKADDR_BYTES,
  type SocketPair,
  socketPair,
  stableBytes,
  UdpSocket,
  writeFrom,
} from '@kith/posix';
import { createRing, RingConsumer, type RingMemory, RingProducer } from '@kith/ring';
import { KIND_IP4, KIND_IP6, KIND_MAC } from './addresses.ts';
import { CHUNK_HEADER_BYTES, CHUNK_WHOLE, writeChunkHeader } from './chunk.ts';
import { threadClock } from './clock.ts';
import { encodeBind, TAG_BIND } from './commands.ts';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS } from './counters.ts';
import { TYPE_PROBE, TYPE_PROBE_REPLY } from './datagram.ts';
import {
  encodeKeyed,
  encodeLink,
  encodePath,
  TAG_ADD_RECEIVER,
  TAG_CLEAR_PATH,
  TAG_SET_PATH,
  TAG_SET_SENDER,
} from './direct-commands.ts';
import type { DirectKeys } from './direct-keys.ts';
import { DirectStats } from './direct-stats.ts';
import { DOWNLINK_HEADROOM } from './downlink.ts';
import { EGRESS_PACE, newPace, Pace } from './pace.ts';
import { type RehearsalLink, rehearsalLink, SUPER_FRAME_BYTES } from './rehearsal-frames.ts';
import { newStop } from './stop.ts';
import { StreamMode } from './stream-mode.ts';
import { createTable } from './table-layout.ts';
import { TapWorker } from './tap-worker.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { newWatch, setWatched } from './watched.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/** IPv4 over an Ethernet of 1500 bytes. */
const DATAGRAM_BYTES = 1472;
/** Holds a super-frame beside the ring's own records. */
const RING_BYTES = 2 ** 18;
const COMMAND_RING_BYTES = 2 ** 12;
/** With virtio, Ethernet, IP and TCP headers. */
const LONGEST_FRAME = SUPER_FRAME_BYTES + 128;
/** A stream, within any window of Pace's. */
const STREAM_BYTES = 2 ** 30;
/** A step that is sure to find something waits as the worker of a node does. */
const SHORT_MS = 1;
/** A STUN request, a probe and a reply: their first bytes. */
const CONTROL_TYPES = [0, TYPE_PROBE, TYPE_PROBE_REPLY];
const CONTROL_BYTES = 64;
/** Random numbers of 32 bits in a node: one that is no small integer for V8. */
const FIRST_INDEX = 0x9e37_79b9;

interface Resources {
  readonly near: SocketPair;
  readonly far: SocketPair;
  readonly from: UdpSocket;
  readonly to: UdpSocket;
  readonly bell: EventFd;
}

/**
 * A worker that sends to itself, with all that it needs: a stand-in for TAP at each end and two UDP sockets on the loopback device
 * between them. It has a link for each of the given keys. Nothing of the node's own is touched.
 */
export class WorkerStage {
  /** Whose keys were given, in their order. */
  readonly links: readonly RehearsalLink[];
  readonly #resources: Resources;
  readonly #worker: TapWorker;
  readonly #toEgress: RingProducer;
  readonly #toIngress: RingProducer;
  /** What the main thread would take from the worker. */
  readonly #fromWorker: readonly RingConsumer[];
  readonly #stats = new DirectStats();
  readonly #watch = newWatch();
  readonly #sender: DatagramSender;
  readonly #sockaddr = stableBytes(SOCKADDR_BYTES);
  readonly #sockaddrAddress = addressOf(this.#sockaddr);
  readonly #sockaddrBytes: number;
  readonly #frame = stableBytes(LONGEST_FRAME);
  readonly #frameAddress = addressOf(this.#frame);
  readonly #arrived = stableBytes(LONGEST_FRAME);
  readonly #arrivedAddress = addressOf(this.#arrived);
  /** All of a rehearsal is compiled early. */
  readonly #scheduling = new StreamMode(() => {});
  readonly #pace: Pace;

  /**
   * Throws SystemError when the machine denies a descriptor or a loopback socket.
   * @param start its offloads and sizes are used
   * @param clock as TapWorker's
   */
  constructor(
    start: DirectionStart,
    direct: DirectStart,
    keys: readonly DirectKeys[],
    clock = threadClock(),
  ) {
    const resources = open(direct);
    this.#resources = resources;
    this.#sender = new DatagramSender(resources.from.fd);
    const rings = { uplink: createRing(RING_BYTES), downlink: createRing(RING_BYTES) };
    const commands = createRing(COMMAND_RING_BYTES);
    const control = createRing(RING_BYTES);
    this.#toEgress = new RingProducer(commands);
    this.#toIngress = new RingProducer(rings.downlink);
    this.#fromWorker = [rings.uplink, control].map((memory: RingMemory) => new RingConsumer(memory));
    const stats = this.#stats.memory;
    const shared = { ...start, watch: this.#watch, table: createTable() };
    const egress = {
      ...shared,
      tapFd: resources.near.fds[1],
      ring: rings.uplink,
      counters: new Counters(EGRESS_COUNTERS).memory,
      direct: { ...direct, stats, socketFd: resources.from.fd, ring: commands },
    };
    const ingress = {
      ...shared,
      tapFd: resources.far.fds[0],
      ring: rings.downlink,
      counters: new Counters(INGRESS_COUNTERS).memory,
      direct: { ...direct, stats, socketFd: resources.to.fd, gro: resources.to.gro, ring: control },
    };
    const own = { bellFd: resources.bell.fd, stop: newStop(), pace: newPace() };
    this.#pace = new Pace(own.pace, EGRESS_PACE, clock(), this.#scheduling);
    this.#worker = new TapWorker({ ...own, egress, ingress }, this.#pace, clock);
    this.#sockaddrBytes = encodeSockaddr(4, '127.0.0.1', resources.to.port, this.#sockaddr);
    this.links = keys.map((linkKeys, index) => {
      const link = rehearsalLink(index);
      this.#addLink(index + 1, linkKeys, link);
      return link;
    });
    // The addresses must be bound before the first frame looks for them.
    this.#worker.turn(1, 0);
  }

  /**
   * Sends a frame from end to end `count` times, 8 at most: the kernel keeps 10 datagrams in a local socket. Returns how many frames arrived:
   * as many, or their segments where TAP takes no super-frames.
   */
  pass(frame: Uint8Array, count = 1): number {
    for (let sent = 0; sent < count; sent++) if (!this.#put(frame)) return 0;
    return this.#carry();
  }

  /** The same of several frames, 8 at most and two super-frames among them, that the worker finds at once. */
  passTogether(frames: readonly Uint8Array[]): number {
    for (const frame of frames) if (!this.#put(frame)) return 0;
    return this.#carry();
  }

  #put(frame: Uint8Array): boolean {
    this.#frame.set(frame);
    return writeFrom(this.#resources.near.fds[0], this.#frameAddress, frame.length) === frame.length;
  }

  #carry(): number {
    // One step finds the frame, the next one sends it and finds that the socket has something, the third takes that.
    this.#worker.turn(2, SHORT_MS);
    this.#worker.turn(1, 0);
    return this.#takeArrived();
  }

  /**
   * What a worker does besides carrying frames by the direct carrier: it takes commands and chunks from the main thread, gives it what has no
   * path and what is not data, tells that a descriptor can be read and a link is used, and notices that a stream begins.
   * @param frame of the first link
   */
  interrupt(frame: Uint8Array): void {
    this.#pace.add(STREAM_BYTES);
    const { bell } = this.#resources;
    setWatched(this.#watch, bell.fd);
    for (const index of this.links.keys()) tell(this.#toEgress, TAG_CLEAR_PATH, encodeLink(index + 1));
    this.#worker.turn(1, 0);
    this.#put(frame);
    void this.#stats.nextUse();
    // As the main thread, which is to be woken then.
    for (const ring of this.#fromWorker) ring.announceSleep();
    for (const [index, link] of this.links.entries()) {
      this.#bind(index + 1, link);
      // The next datagram comes from somewhere else.
      this.#stats.clear(index + 1, 'ingress');
    }
    tell(this.#toIngress, 1, chunkOf(frame));
    bell.signal();
    this.#worker.turn(2, SHORT_MS);
    for (const index of this.links.keys()) this.#setPath(index + 1);
    this.#worker.turn(1, 0);
    this.#frame.fill(0, 0, CONTROL_BYTES);
    for (const type of CONTROL_TYPES) {
      this.#frame[0] = type;
      this.#sender.send(this.#sockaddrAddress, this.#sockaddrBytes, this.#frameAddress, CONTROL_BYTES, 0);
    }
    this.#worker.turn(1, SHORT_MS);
    this.#worker.turn(1, 0);
    this.#takeArrived();
    for (const ring of this.#fromWorker) ring.awake();
  }

  #takeArrived(): number {
    const { far } = this.#resources;
    let arrived = 0;
    while (readInto(far.fds[1], this.#arrivedAddress, this.#arrived.length) > 0) arrived++;
    for (const ring of this.#fromWorker) empty(ring);
    return arrived;
  }

  close(): void {
    // What passes here at once looks like a stream.
    this.#scheduling.setBatch(false);
    for (const resource of Object.values(this.#resources)) resource.close();
  }

  #addLink(link: number, keys: DirectKeys, addresses: RehearsalLink): void {
    const keyed = encodeKeyed({ link, slot: link, index: (FIRST_INDEX + link) | 0, keys });
    tell(this.#toIngress, TAG_ADD_RECEIVER, keyed);
    tell(this.#toEgress, TAG_SET_SENDER, keyed);
    this.#setPath(link);
    tell(this.#toIngress, TAG_BIND, encodeBind(link, KIND_MAC, addresses.to.mac));
    this.#bind(link, addresses);
  }

  #setPath(link: number): void {
    const to = { sockaddr: this.#sockaddr, sockaddrLength: this.#sockaddrBytes, channel: 0 };
    tell(this.#toEgress, TAG_SET_PATH, encodePath({ link, datagramBytes: DATAGRAM_BYTES, ...to }));
  }

  #bind(link: number, { from }: RehearsalLink): void {
    tell(this.#toIngress, TAG_BIND, encodeBind(link, KIND_MAC, from.mac));
    tell(this.#toIngress, TAG_BIND, encodeBind(link, KIND_IP4, from.ip4));
    tell(this.#toIngress, TAG_BIND, encodeBind(link, KIND_IP6, from.ip6));
  }
}

function open(direct: DirectStart): Resources {
  const opened: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(resource: T): T => {
    opened.push(resource);
    return resource;
  };
  const loopback = { family: 4, address: '127.0.0.1', port: 0 } as const;
  try {
    return {
      near: keep(socketPair()),
      far: keep(socketPair()),
      from: keep(UdpSocket.open(loopback)),
      to: keep(UdpSocket.open({ ...loopback, gro: direct.gro })),
      bell: keep(EventFd.create()),
    };
  } catch (error) {
    for (const resource of opened) resource.close();
    throw error;
  }
}

/** As the main thread gives a frame to a worker. */
function chunkOf(packet: Uint8Array): Uint8Array {
  const frame = packet.subarray(VIRTIO_HEADER_BYTES);
  const chunk = new Uint8Array(DOWNLINK_HEADROOM + CHUNK_HEADER_BYTES + frame.length);
  writeChunkHeader(chunk, DOWNLINK_HEADROOM, CHUNK_WHOLE, 0, 0, 0, 0);
  chunk.set(frame, DOWNLINK_HEADROOM + CHUNK_HEADER_BYTES);
  return chunk;
}

function tell(ring: RingProducer, tag: number, payload: Uint8Array): void {
  ring.push(payload, 0, payload.length, tag);
  ring.publish();
}

function empty(ring: RingConsumer): void {
  while (ring.peek()) ring.release();
  ring.flush();
}
