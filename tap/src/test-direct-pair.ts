import {
  addressOf,
  DatagramReceiver,
  DatagramSender,
  encodeSockaddr,
  hotMemory,
  POLLIN,
  POLLOUT,
  PollSet,
  SOCKADDR_BYTES,
  stableBytes,
  UdpSocket,
} from '@kith/posix';
import { createRing, RingConsumer, RingProducer } from '@kith/ring';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS } from './counters.ts';
import { DIRECT_EGRESS_BYTES, DirectEgress, type Outlet } from './direct-egress.ts';
import { DirectIngress } from './direct-ingress.ts';
import type { DirectKeys } from './direct-keys.ts';
import { DirectStats } from './direct-stats.ts';
import { Fragments, fragmentBytes } from './fragments.ts';
import { Gluer } from './gluer.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

/** For tests: both halves of the data plane's direct carrier in one thread, with a real socket between them on loopback. */

export const LINK = 7;
export const INDEX = 0xabcd_0123 | 0;
const MAX_FRAME = 1378;
export const SLOT_BYTES = 65_536;
/** As TapWorker has it. */
const ROOM_MS = 20;
const READ_BYTES = 65_600;

// Hot memory belongs to the process for ever: taken once for all tests.
export const egressMemory = hotMemory(READ_BYTES + DIRECT_EGRESS_BYTES);
export const reassemblyBytes = fragmentBytes(MAX_FRAME, VIRTIO_HEADER_BYTES);
export const ingressMemory = hotMemory(reassemblyBytes + 2 * SLOT_BYTES);

export type Keys = () => DirectKeys;
export const AES: Keys = () => ({
  mode: 'sealed',
  cipher: 'aes-256-gcm',
  key: new Uint8Array(32).fill(5),
  fixedIv: new Uint8Array(4).fill(6),
});
export const CHACHA: Keys = () => ({
  mode: 'sealed',
  cipher: 'chacha20-poly1305',
  key: new Uint8Array(32).fill(5),
  fixedIv: new Uint8Array(4).fill(6),
});
export const PLAIN: Keys = () => ({ mode: 'plain', tag: new Uint8Array(16).fill(9) });
export const MODES = [
  ['aes', AES],
  ['chacha', CHACHA],
  ['plain', PLAIN],
] as const;

export interface PairOptions {
  readonly gso?: boolean;
  readonly gro?: boolean;
  readonly datagramBytes?: number;
  /** Data goes as ChannelData of this number, as if the sending socket were a TURN server's. */
  readonly channel?: number;
  /** Puts something between the egress half and its socket. */
  readonly wrap?: (sender: DatagramSender) => Outlet;
}

export class Pair {
  readonly from: UdpSocket;
  readonly to: UdpSocket;
  readonly egress: DirectEgress;
  readonly ingress: DirectIngress;
  readonly egressCounters = new Counters(EGRESS_COUNTERS);
  readonly ingressCounters = new Counters(INGRESS_COUNTERS);
  readonly stats = new DirectStats();
  readonly control: RingConsumer;
  readonly pathErrors: number[] = [];
  readonly frames: Uint8Array[] = [];
  count = 0;
  keepsFrames = true;
  readonly #poll: PollSet;
  readonly #room: PollSet;

  constructor({ gso = true, gro = true, datagramBytes = 1472, channel = 0, wrap }: PairOptions = {}) {
    this.to = UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0, gro, bufferBytes: 2 ** 20 });
    this.from = UdpSocket.open({ family: 4, address: '127.0.0.1', port: 0 });
    this.#poll = new PollSet([{ fd: this.to.fd, events: POLLIN }]);
    this.#room = new PollSet([{ fd: this.from.fd, events: POLLOUT }]);
    const sender = new DatagramSender(this.from.fd);
    const outlet = wrap?.(sender) ?? sender;
    this.egress = new DirectEgress(
      egressMemory,
      READ_BYTES,
      () => this.#room.wait(ROOM_MS),
      outlet,
      gso,
      this.stats,
      this.egressCounters,
      (_link, errno) => this.pathErrors.push(errno),
    );
    const control = createRing(2 ** 16);
    this.control = new RingConsumer(control);
    const fragments = new Fragments(ingressMemory.bytes, 0, MAX_FRAME, VIRTIO_HEADER_BYTES);
    const gluer = new Gluer(
      ingressMemory.bytes,
      MAX_FRAME,
      { tso: true, uso: true },
      fragments,
      this.ingressCounters,
      () => {
        this.count++;
        if (this.keepsFrames) this.frames.push(written(gluer));
      },
    );
    this.ingress = new DirectIngress(
      ingressMemory,
      new DatagramReceiver(this.to.fd, ingressMemory, reassemblyBytes, 2, SLOT_BYTES),
      gluer,
      new RingProducer(control),
      this.stats,
      this.ingressCounters,
      0,
      () => false,
    );
    const sockaddr = new Uint8Array(SOCKADDR_BYTES);
    const sockaddrLength = encodeSockaddr(4, '127.0.0.1', this.to.port, sockaddr);
    this.egress.setPath({ link: LINK, datagramBytes, channel, sockaddr, sockaddrLength });
  }

  keys(keys: Keys, index = INDEX): this {
    this.ingress.addReceiver({ index, link: LINK, slot: 3, keys: keys() });
    this.egress.setSender({ link: LINK, slot: 3, index, keys: keys() });
    return this;
  }

  send(...frames: Uint8Array[]): void {
    for (const frame of frames) {
      egressMemory.bytes.set(frame, 0);
      if (!this.egress.send(LINK, 0, frame.length)) throw new Error('the link has no direct path');
    }
    this.egress.flush();
  }

  /** The sending socket's address, as the receiver sees it. */
  get sender(): Uint8Array {
    const sockaddr = new Uint8Array(SOCKADDR_BYTES);
    encodeSockaddr(4, '127.0.0.1', this.from.port, sockaddr);
    return sockaddr;
  }

  /** Takes all that has arrived. */
  receive(nowMs = 1000): void {
    this.#poll.wait(200);
    while (this.ingress.receive(nowMs) > 0);
  }

  /** Sends raw bytes as a stranger might. */
  inject(datagram: Uint8Array): void {
    const sockaddr = stableBytes(SOCKADDR_BYTES);
    const length = encodeSockaddr(4, '127.0.0.1', this.to.port, sockaddr);
    const bytes = stableBytes(datagram.length);
    bytes.set(datagram);
    const sent = new DatagramSender(this.from.fd, 1).send(
      addressOf(sockaddr),
      length,
      addressOf(bytes),
      datagram.length,
      0,
    );
    if (sent !== datagram.length) throw new Error(`sending returned ${sent}`);
    this.receive();
  }

  close(): void {
    this.egress.removeLink(LINK);
    this.ingress.removeLink(LINK);
    this.from.close();
    this.to.close();
  }
}

function written(gluer: Gluer): Uint8Array {
  const parts: number[] = [];
  for (let part = 0; part < gluer.partCount; part++) {
    const at = gluer.partAt[part] ?? 0;
    parts.push(...gluer.memory.subarray(at, at + (gluer.partBytes[part] ?? 0)));
  }
  return Uint8Array.from(parts);
}
