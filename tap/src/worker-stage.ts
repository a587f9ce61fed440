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
import { threadClock } from './clock.ts';
import { encodeBind, TAG_BIND } from './commands.ts';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS } from './counters.ts';
import { TYPE_PROBE } from './datagram.ts';
import {
  encodeKeyed,
  encodePath,
  TAG_ADD_RECEIVER,
  TAG_SET_PATH,
  TAG_SET_SENDER,
} from './direct-commands.ts';
import type { DirectKeys } from './direct-keys.ts';
import { DirectStats } from './direct-stats.ts';
import { EGRESS_PACE, newPace, Pace } from './pace.ts';
import { type RehearsalLink, rehearsalLink, SUPER_FRAME_BYTES } from './rehearsal-frames.ts';
import { newStop } from './stop.ts';
import { createTable } from './table-layout.ts';
import { TapWorker } from './tap-worker.ts';
import { newWatch, setWatched } from './watched.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/** IPv4 over an Ethernet of 1500 bytes. */
const DATAGRAM_BYTES = 1472;
/** Holds a super-frame beside the ring's own records. */
const RING_BYTES = 2 ** 18;
const COMMAND_RING_BYTES = 2 ** 12;
/** With virtio, Ethernet, IP and TCP headers. */
const LONGEST_FRAME = SUPER_FRAME_BYTES + 128;
/** What the stage's clock does between two steps: pings of 200 a second. */
const STEP_MS = 5;
/** A step that is sure to find something waits as the worker of a node does. */
const SHORT_MS = 1;
const PROBE_BYTES = 64;
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
  #nowMs = threadClock()();

  /** @param start its offloads and sizes are used. Throws SystemError when the machine denies a descriptor or a loopback socket. */
  constructor(start: DirectionStart, direct: DirectStart, keys: readonly DirectKeys[]) {
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
    // The stage's clock makes a trickle of all that passes, so that the thread's scheduling stays as it is.
    const pace = new Pace(own.pace, EGRESS_PACE, this.#nowMs);
    this.#worker = new TapWorker({ ...own, egress, ingress }, pace, () => this.#nowMs);
    this.#sockaddrBytes = encodeSockaddr(4, '127.0.0.1', resources.to.port, this.#sockaddr);
    this.links = keys.map((linkKeys, index) => {
      const link = rehearsalLink(index);
      this.#addLink(index + 1, linkKeys, link);
      return link;
    });
    // The addresses must be bound before the first frame looks for them.
    this.#turn(1, 0);
  }

  /**
   * Sends a frame from end to end `count` times, 8 at most: the kernel keeps 10 datagrams in a local socket. Returns how many frames arrived:
   * as many, or their segments where TAP takes no super-frames.
   */
  pass(frame: Uint8Array, count = 1): number {
    const { near, far } = this.#resources;
    this.#frame.set(frame);
    for (let sent = 0; sent < count; sent++) {
      if (writeFrom(near.fds[0], this.#frameAddress, frame.length) !== frame.length) return 0;
    }
    // One step finds the frame, the next one sends it and finds that the socket has something, the third takes that.
    this.#turn(2, SHORT_MS);
    this.#turn(1, 0);
    let arrived = 0;
    while (readInto(far.fds[1], this.#arrivedAddress, this.#arrived.length) > 0) arrived++;
    for (const ring of this.#fromWorker) empty(ring);
    return arrived;
  }

  /** What a worker does besides carrying frames: it takes commands, passes a probe on, tells that a descriptor can be read and a link is used. */
  interrupt(): void {
    const { bell } = this.#resources;
    setWatched(this.#watch, bell.fd);
    this.#turn(1, 0);
    void this.#stats.nextUse();
    for (const [index, link] of this.links.entries()) {
      this.#bind(index + 1, link);
      // The next datagram comes from somewhere else.
      this.#stats.clear(index + 1, 'ingress');
    }
    bell.signal();
    this.#turn(1, SHORT_MS);
    this.#turn(1, 0);
    this.#frame.fill(0, 0, PROBE_BYTES);
    this.#frame[0] = TYPE_PROBE;
    this.#sender.send(this.#sockaddrAddress, this.#sockaddrBytes, this.#frameAddress, PROBE_BYTES, 0);
    this.#turn(1, SHORT_MS);
    this.#turn(1, 0);
  }

  close(): void {
    for (const resource of Object.values(this.#resources)) resource.close();
  }

  #turn(steps: number, waitMs: number): void {
    this.#nowMs += STEP_MS * steps;
    this.#worker.turn(steps, waitMs);
  }

  #addLink(link: number, keys: DirectKeys, addresses: RehearsalLink): void {
    const keyed = encodeKeyed({ link, slot: link, index: (FIRST_INDEX + link) | 0, keys });
    const to = { sockaddr: this.#sockaddr, sockaddrLength: this.#sockaddrBytes, channel: 0 };
    tell(this.#toIngress, TAG_ADD_RECEIVER, keyed);
    tell(this.#toEgress, TAG_SET_SENDER, keyed);
    tell(this.#toEgress, TAG_SET_PATH, encodePath({ link, datagramBytes: DATAGRAM_BYTES, ...to }));
    tell(this.#toIngress, TAG_BIND, encodeBind(link, KIND_MAC, addresses.to.mac));
    this.#bind(link, addresses);
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

function tell(ring: RingProducer, tag: number, payload: Uint8Array): void {
  ring.push(payload, 0, payload.length, tag);
  ring.publish();
}

function empty(ring: RingConsumer): void {
  while (ring.peek()) ring.release();
  ring.flush();
}
