import { BugError, SystemError } from '@kith/base';
import { closeFd, UdpSocket } from '@kith/posix';
import { createRing, RingConsumer } from '@kith/ring';
import {
  type AddressKind,
  addressBytes,
  KIND_IP4,
  KIND_MAC,
  kindNumber,
  LINK_MAX,
  LINK_SELF,
  parseIp4,
} from './addresses.ts';
import { threadClock } from './clock.ts';
import { encodeBind, encodeUnbindLink, TAG_BIND, TAG_UNBIND_LINK } from './commands.ts';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS, MAIN_COUNTERS } from './counters.ts';
import {
  assertDeviceOptions,
  assertIp4,
  createDevice,
  type Device,
  type Ip4Setting,
  type Offload,
  replaceIp4,
} from './device.ts';
import { TAG_PATH_ERROR } from './direct-commands.ts';
import { DirectPort } from './direct-port.ts';
import { DirectStats } from './direct-stats.ts';
import { DOWNLINK_HEADROOM, Downlink } from './downlink.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import { testTapWrites, testUdpOffload } from './self-test.ts';
import { createTable } from './table-layout.ts';
import { NO_LINK, TableReader } from './table-reader.ts';
import { UplinkDrain, type UplinkHandler } from './uplink-drain.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { word16 } from './wire-bytes.ts';
import { WorkerHandle } from './worker-handle.ts';

export interface TapOptions {
  /** Name of the interface, at most 15 characters; it must not exist yet. */
  readonly name: string;
  /** 6 bytes, unicast. */
  readonly mac: Uint8Array;
  /** Largest IP packet in bytes, without the Ethernet header. */
  readonly mtu: number;
  readonly ip4?: Ip4Setting;
  /** Sizes of the two rings in bytes, rounded up to a power of two that holds at least eight of the longest reads. */
  readonly uplinkBytes?: number;
  readonly downlinkBytes?: number;
  /** Super-frames; on by default, and off where the self-test finds that the kernel does not do them. */
  readonly offload?: { readonly tso?: boolean; readonly uso?: boolean };
  /** The direct carrier; left out or false: none. */
  readonly direct?: DirectOptions | false;
}

export interface DirectOptions {
  /** 0, the default, lets the kernel choose. */
  readonly port?: number;
  /** UDP_SEGMENT and UDP_GRO; on by default, and off where the self-test finds that the kernel does not do them. */
  readonly gso?: boolean;
  readonly gro?: boolean;
  /** Size of each socket buffer in bytes. */
  readonly bufferBytes?: number;
}

/** 20 ms at 400 Mbit/s, which rides out a busy event loop without adding a noticeable queue. */
const DEFAULT_RING_BYTES = 2 ** 20;
const MIN_READS_IN_RING = 8;
/** Longest Ethernet frame of a super-frame: 64 KiB of IP packet behind a header and a VLAN tag. */
const MAX_SUPER_FRAME = 65_535 + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
/** A chunk that deliver takes: no UDP datagram, and no data channel message, is longer. */
const MAX_CHUNK_BYTES = 65_535;
/** Commands that wait for the egress worker: 256 of the largest, more than a hundred links at once. */
const COMMAND_RING_BYTES = 2 ** 14;
/** Probes and STUN for the main thread: some hundred at once. */
const CONTROL_RING_BYTES = 2 ** 18;
/**
 * wireguard-go measured that 7 MiB, rather than the kernel's 208 KiB, end the loss of a fast TCP flow at the receiving socket; it is
 * about 20 ms at 2.5 Gbit/s.
 */
const DEFAULT_SOCKET_BYTES = 7 * 2 ** 20;

/** A TAP device, its two workers and the rings between them and the main thread. Exactly one thread may use the object. */
export class Tap {
  readonly name: string;
  readonly #fd: number;
  readonly #mac: Uint8Array;
  #ip4: Ip4Setting | undefined;
  readonly #egress = new WorkerHandle('tap-egress');
  readonly #ingress = new WorkerHandle('tap-ingress');
  readonly #uplink: RingConsumer;
  readonly #downlink: Downlink;
  readonly #commands: Downlink;
  readonly #table: TableReader;
  readonly #socket: UdpSocket | undefined;
  /** The direct carrier's door; undefined when it was not asked for. */
  readonly direct: DirectPort | undefined;
  /** Which super-frames are in use. */
  readonly offload: Offload;
  readonly #clock = threadClock();
  readonly #egressCounters = new Counters(EGRESS_COUNTERS);
  readonly #ingressCounters = new Counters(INGRESS_COUNTERS);
  readonly #mainCounters = new Counters(MAIN_COUNTERS);
  #drain: UplinkDrain | undefined;
  #failure: Error | undefined;
  readonly #failureHandlers: ((error: Error) => void)[] = [];
  #closing: Promise<void> | undefined;

  private constructor(device: Device, socket: UdpSocket | undefined, options: TapOptions) {
    const { fd, offload } = device;
    this.name = options.name;
    this.#fd = fd;
    this.#mac = Uint8Array.from(options.mac);
    this.#ip4 = options.ip4;
    this.#socket = socket;
    this.offload = offload;
    const maxFrame = options.mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
    // One byte more than the longest frame: a read cuts what does not fit, and only so does it show.
    const maxRead = VIRTIO_HEADER_BYTES + (offload.tso ? MAX_SUPER_FRAME : maxFrame) + 1;
    const uplink = createRing(ringBytes(options.uplinkBytes, maxRead));
    const downlink = createRing(ringBytes(options.downlinkBytes, maxRead));
    const commands = createRing(COMMAND_RING_BYTES);
    const control = createRing(CONTROL_RING_BYTES);
    const table = createTable();
    const stats = new DirectStats();
    const writes = testTapWrites(fd, offload);
    const shared = { tapFd: fd, table, mtu: options.mtu, maxRead, offload: writes };
    const onDeath = (error: Error): void => this.#fail(error);
    this.#uplink = new RingConsumer(uplink);
    this.#table = new TableReader(table);
    const maxChunk = Math.min(MAX_CHUNK_BYTES, maxRead + DOWNLINK_HEADROOM);
    this.#downlink = new Downlink(downlink, this.#mainCounters, maxChunk, () => this.#ingress.ring());
    this.#commands = new Downlink(commands, this.#mainCounters, 0, () => this.#egress.ring());
    const gso = socket === undefined ? false : wants(options)?.gso !== false && testUdpOffload().gso;
    const direct =
      socket === undefined ? null : { socketFd: socket.fd, stats: stats.memory, gso, gro: socket.gro };
    this.direct =
      socket === undefined
        ? undefined
        : new DirectPort({
            socket,
            toEgress: this.#commands,
            toIngress: this.#downlink,
            control: new RingConsumer(control),
            stats,
            counters: this.#mainCounters,
            onFailure: (cause) => {
              this.#fail(new BugError('TAP_CONTROL_HANDLER', 'the control handler threw', { cause }));
            },
          });
    this.#egress.launch(
      new URL('./egress-worker.js', import.meta.url),
      {
        ...shared,
        ring: uplink,
        counters: this.#egressCounters.memory,
        direct: direct === null ? null : { ...direct, ring: commands },
      },
      onDeath,
    );
    this.#ingress.launch(
      new URL('./ingress-worker.js', import.meta.url),
      {
        ...shared,
        ring: downlink,
        counters: this.#ingressCounters.memory,
        direct: direct === null ? null : { ...direct, ring: control },
      },
      onDeath,
    );
    // A thread that sleeps in poll cannot be terminated, and node joins its threads before it exits.
    process.on('exit', this.#onProcessExit);
  }

  /**
   * Creates the device, sets its MAC, MTU and address and sets it up, then starts both workers. The device is gone as soon as
   * close() has settled, and also when the process dies, however it dies.
   * Rejects with ConfigError for options that cannot be, with SystemError when the machine refuses: TAP_NO_DRIVER, TAP_NO_RIGHTS,
   * TAP_NAME_TAKEN, TAP_WORKER_DIED, or the errno name of a refused call.
   */
  static async open(options: TapOptions): Promise<Tap> {
    assertDeviceOptions(options.mac, options.mtu, options.ip4);
    const tap = Tap.#create(options);
    try {
      tap.#bindSelf();
      await Promise.all([tap.#egress.ready(), tap.#ingress.ready()]);
      return tap;
    } catch (error) {
      await tap.close();
      throw error;
    }
  }

  static #create(options: TapOptions): Tap {
    const wanted = { tso: options.offload?.tso !== false, uso: options.offload?.uso !== false };
    const device = createDevice(options.name, options.mac, options.mtu, options.ip4, wanted);
    let socket: UdpSocket | undefined;
    try {
      socket = openSocket(options);
      return new Tap(device, socket, options);
    } catch (error) {
      socket?.close();
      closeFd(device.fd);
      throw error;
    }
  }

  /**
   * Begins to drain the frames that applications sent and that no direct path carries, in bounded turns of the event loop. The
   * handler is called synchronously for each with what one read of the device gave: a virtio header and a frame, which may be a
   * super-frame (Chunker cuts it). `link` may be LINK_ALL; the bytes are valid only during the call. It consumes every frame, and
   * must not throw: that is a failure of the whole. Throws BugError when called twice.
   */
  onUplink(handler: UplinkHandler): void {
    if (this.#drain !== undefined) throw new BugError('TAP_UPLINK_TAKEN', 'the uplink has a handler already');
    const receive: UplinkHandler = (tag, data, offset, length) => {
      if (tag === TAG_PATH_ERROR) this.direct?.pathFailed(word16(data, offset), data[offset + 2] ?? 0);
      else handler(tag, data, offset, length);
    };
    this.#drain = new UplinkDrain(this.#uplink, receive, (cause) => {
      this.#fail(new BugError('TAP_UPLINK_HANDLER', 'the uplink handler threw', { cause }));
    });
  }

  /**
   * Hands over one chunk that came from a link; it is copied. False when it was dropped here (ring full, too large), which is
   * counted; the ingress worker may still drop it for what is in it. Throws BugError for a link or range that cannot be.
   */
  deliver(link: number, data: Uint8Array, offset: number, length: number): boolean {
    assertLink(link);
    if (offset < 0 || length < 0 || offset + length > data.length) {
      throw new BugError('TAP_FRAME_RANGE', `bytes ${offset} to ${offset + length} of ${data.length}`);
    }
    return this.#downlink.chunk(link, data, offset, length);
  }

  /**
   * Binds an address to a link until unbindLink; takes effect before any frame delivered later. The first binding wins: a claim
   * to what another link or this node has bound is refused and counted as refused_bindings. Throws BugError for a bad argument.
   */
  bind(link: number, kind: AddressKind, address: Uint8Array): void {
    assertLink(link);
    this.#bind(link, kindNumber(kind), address);
  }

  /** Forgets all that a link had, learned or bound; takes effect before any frame delivered later. */
  unbindLink(link: number): void {
    assertLink(link);
    this.#downlink.command(TAG_UNBIND_LINK, encodeUnbindLink(link));
  }

  /** All counters by name, from the start of the device; learned_macs alone is a level. */
  counters(): Record<string, number> {
    const totals: Record<string, number> = {};
    this.#egressCounters.addTo(totals);
    this.#ingressCounters.addTo(totals);
    this.#mainCounters.addTo(totals);
    return totals;
  }

  /** The link that owns an address now, LINK_SELF for this node's own, undefined when nobody does. */
  owner(kind: AddressKind, address: Uint8Array): number | undefined {
    const number = kindNumber(kind);
    assertAddress(number, address);
    const link = this.#table.lookup(number, address, 0, Math.floor(this.#clock() / 1000));
    return link === NO_LINK ? undefined : link;
  }

  /** Replaces this node's IPv4 address. Rejects with ConfigError or SystemError; then the old address may be gone. */
  async setAddress(ip4: Ip4Setting): Promise<void> {
    assertIp4(ip4);
    const old = this.#ip4;
    this.#ip4 = undefined;
    replaceIp4(this.name, old, ip4);
    this.#ip4 = ip4;
    this.#downlink.command(TAG_UNBIND_LINK, encodeUnbindLink(LINK_SELF));
    this.#bindSelf();
  }

  /** Ends both workers and removes the device. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /**
   * Tells when a worker died (TAP_WORKER_DIED), the device was deleted (TAP_GONE) or the uplink handler threw; at once if that has happened already. The
   * object is then of no use but to be closed.
   */
  onFailure(handler: (error: Error) => void): void {
    this.#failureHandlers.push(handler);
    if (this.#failure !== undefined) handler(this.#failure);
  }

  #bindSelf(): void {
    this.#bind(LINK_SELF, KIND_MAC, this.#mac);
    if (this.#ip4 !== undefined) this.#bind(LINK_SELF, KIND_IP4, parseIp4(this.#ip4.address));
  }

  #bind(link: number, kind: number, address: Uint8Array): void {
    assertAddress(kind, address);
    this.#downlink.command(TAG_BIND, encodeBind(link, kind, address));
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#closing !== undefined) return;
    this.#failure = error;
    for (const handler of this.#failureHandlers) handler(error);
  }

  async #shutDown(): Promise<void> {
    process.off('exit', this.#onProcessExit);
    this.#drain?.stop();
    this.direct?.stop();
    this.#downlink.stop();
    this.#commands.stop();
    await Promise.all([this.#egress.stop(), this.#ingress.stop()]);
    this.#socket?.close();
    try {
      closeFd(this.#fd);
    } catch (cause) {
      throw new SystemError('TAP_CLOSE', `cannot close TAP device ${this.name}`, { cause });
    }
  }

  readonly #onProcessExit = (): void => {
    this.#egress.askToStop();
    this.#ingress.askToStop();
  };
}

function wants(options: TapOptions): DirectOptions | undefined {
  return options.direct === false ? undefined : options.direct;
}

/** The direct carrier's socket, when it was asked for. Throws SystemError, EADDRINUSE for instance. */
function openSocket(options: TapOptions): UdpSocket | undefined {
  const direct = wants(options);
  if (direct === undefined) return undefined;
  return UdpSocket.open({
    port: direct.port ?? 0,
    bufferBytes: direct.bufferBytes ?? DEFAULT_SOCKET_BYTES,
    gro: direct.gro !== false && testUdpOffload().gro,
  });
}

function ringBytes(wanted: number | undefined, maxRead: number): number {
  const least = Math.max(wanted ?? DEFAULT_RING_BYTES, MIN_READS_IN_RING * maxRead);
  return 2 ** Math.ceil(Math.log2(least));
}

function assertLink(link: number): void {
  if (!Number.isInteger(link) || link < 0 || link > LINK_MAX) {
    throw new BugError('TAP_LINK', `${link} is not a link: expected 0 to ${LINK_MAX}`);
  }
}

function assertAddress(kind: number, address: Uint8Array): void {
  if (address.length !== addressBytes(kind)) {
    throw new BugError(
      'TAP_ADDRESS_LENGTH',
      `an address of ${address.length} bytes instead of ${addressBytes(kind)}`,
    );
  }
}
