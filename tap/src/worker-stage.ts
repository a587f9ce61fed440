import {
  addressOf,
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
import { createRing, type RingMemory, RingProducer } from '@kith/ring';
import { KIND_MAC } from './addresses.ts';
import { encodeBind, TAG_BIND } from './commands.ts';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS } from './counters.ts';
import {
  encodeKeyed,
  encodePath,
  TAG_ADD_RECEIVER,
  TAG_SET_PATH,
  TAG_SET_SENDER,
} from './direct-commands.ts';
import type { DirectKeys } from './direct-keys.ts';
import { DirectStats } from './direct-stats.ts';
import { newPace } from './pace.ts';
import { RECEIVER_MAC, writeRehearsalFrame } from './rehearsal-frame.ts';
import { newStop } from './stop.ts';
import { createTable } from './table-layout.ts';
import { TapWorker } from './tap-worker.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { newWatch } from './watched.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

const LINK = 1;
const INDEX = 1;
/** IPv4 over an Ethernet of 1500 bytes. */
const DATAGRAM_BYTES = 1472;
/** The longest frame that a stage passes. */
export const STAGE_FRAME_BYTES = 50_000;
/** Holds one such frame beside the ring's own records. */
const RING_BYTES = 2 ** 18;
const COMMAND_RING_BYTES = 2 ** 12;

interface Resources {
  readonly near: SocketPair;
  readonly far: SocketPair;
  readonly from: UdpSocket;
  readonly to: UdpSocket;
  readonly bell: EventFd;
}

/**
 * A worker that sends to itself, with all that it needs: a stand-in for TAP at each end and two UDP sockets on the loopback device
 * between them. Nothing of the node's own is touched.
 */
export class WorkerStage {
  readonly #resources: Resources;
  readonly #worker: TapWorker;
  readonly #mtu: number;
  readonly #frame = stableBytes(VIRTIO_HEADER_BYTES + STAGE_FRAME_BYTES);
  readonly #frameAddress = addressOf(this.#frame);
  readonly #arrived = stableBytes(VIRTIO_HEADER_BYTES + STAGE_FRAME_BYTES);
  readonly #arrivedAddress = addressOf(this.#arrived);

  /** @param start its offloads and sizes are used. Throws SystemError when the machine denies a descriptor or a loopback socket. */
  constructor(start: DirectionStart, direct: DirectStart, keys: DirectKeys) {
    const resources = open(direct);
    this.#resources = resources;
    this.#mtu = start.mtu;
    const toEgress = createRing(COMMAND_RING_BYTES);
    const toIngress = createRing(RING_BYTES);
    const control = createRing(COMMAND_RING_BYTES);
    const stats = new DirectStats().memory;
    const shared = { ...start, watch: newWatch(), table: createTable() };
    this.#worker = new TapWorker({
      bellFd: resources.bell.fd,
      stop: newStop(),
      pace: newPace(),
      egress: {
        ...shared,
        tapFd: resources.near.fds[1],
        ring: createRing(RING_BYTES),
        counters: new Counters(EGRESS_COUNTERS).memory,
        direct: { ...direct, stats, socketFd: resources.from.fd, ring: toEgress },
      },
      ingress: {
        ...shared,
        tapFd: resources.far.fds[0],
        ring: toIngress,
        counters: new Counters(INGRESS_COUNTERS).memory,
        direct: { ...direct, stats, socketFd: resources.to.fd, gro: resources.to.gro, ring: control },
      },
    });
    const sockaddr = new Uint8Array(SOCKADDR_BYTES);
    const sockaddrLength = encodeSockaddr(4, '127.0.0.1', resources.to.port, sockaddr);
    const keyed = encodeKeyed({ link: LINK, slot: 0, index: INDEX, keys });
    const to = { sockaddr, sockaddrLength, channel: 0 };
    const path = encodePath({ link: LINK, datagramBytes: DATAGRAM_BYTES, ...to });
    tell(toIngress, TAG_BIND, encodeBind(LINK, KIND_MAC, RECEIVER_MAC));
    tell(toIngress, TAG_ADD_RECEIVER, keyed);
    tell(toEgress, TAG_SET_SENDER, keyed);
    tell(toEgress, TAG_SET_PATH, path);
    // The address must be bound before the first frame looks for it.
    this.#worker.step(0);
  }

  /**
   * Sends `count` frames from end to end, 8 at most: the kernel keeps 10 datagrams in a local socket. Returns how many frames arrived:
   * as many, or their segments where TAP takes no super-frames.
   */
  pass(frameBytes: number, count = 1): number {
    const { near, far } = this.#resources;
    const length = VIRTIO_HEADER_BYTES + frameBytes;
    writeRehearsalFrame(this.#frame, frameBytes, this.#mtu);
    for (let sent = 0; sent < count; sent++) {
      if (writeFrom(near.fds[0], this.#frameAddress, length) !== length) return 0;
    }
    // One step finds the frame, the next one sends it and finds that the socket has something, the third takes that.
    for (let step = 0; step < 3; step++) this.#worker.step(0);
    let arrived = 0;
    while (readInto(far.fds[1], this.#arrivedAddress, this.#arrived.length) > 0) arrived++;
    return arrived;
  }

  close(): void {
    for (const resource of Object.values(this.#resources)) resource.close();
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

function tell(memory: RingMemory, tag: number, payload: Uint8Array): void {
  const ring = new RingProducer(memory);
  ring.push(payload, 0, payload.length, tag);
  ring.publish();
}
