import { BugError, SystemError, Timers } from '@kith/base';
import { closeFd, type UdpSocket } from '@kith/posix';
import { createRing, RingConsumer } from '@kith/ring';
import {
  type AddressKind,
  KIND_IP4,
  KIND_IP6,
  KIND_MAC,
  kindNumber,
  LINK_MAX,
  LINK_MEMBER,
  LINK_SELF,
  parseIp4,
} from './addresses.ts';
import { assertAddress, assertLink, assertTranslation } from './assert-arguments.ts';
import { threadClock } from './clock.ts';
import {
  encodeBind,
  encodeTranslation,
  encodeUnbindLink,
  TAG_BIND,
  TAG_READABLE,
  TAG_SET_TRANSLATION,
  TAG_UNBIND_ADDRESS,
  TAG_UNBIND_LINK,
} from './commands.ts';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS, MAIN_COUNTERS } from './counters.ts';
import {
  assertDeviceOptions,
  assertIp4,
  assertIp6,
  createDevice,
  type Device,
  type Ip4Setting,
  type Ip6Setting,
  type Offload,
  replaceIp4,
  replaceIp6,
} from './device.ts';
import { TAG_PATH_ERROR } from './direct-commands.ts';
import { DirectPort } from './direct-port.ts';
import { DirectStats } from './direct-stats.ts';
import { DOWNLINK_HEADROOM, Downlink } from './downlink.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import type { LinkBinding, Member, NetworkMode } from './member.ts';
import { Members, type OrphanHandler, type WantedHandler } from './members.ts';
import { testTapWrites, testUdpOffload } from './self-test.ts';
import { createTable, setLayer } from './table-layout.ts';
import { NO_LINK, TableReader } from './table-reader.ts';
import {
  COMMAND_RING_BYTES,
  CONTROL_RING_BYTES,
  MAX_CHUNK_BYTES,
  MAX_SUPER_FRAME,
  openSocket,
  ringBytes,
  type TapOptions,
  wants,
} from './tap-options.ts';
import { UplinkDrain, type UplinkHandler } from './uplink-drain.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { newWatch, setWatched } from './watched.ts';
import { word16 } from './wire-bytes.ts';
import { WorkerHandles } from './worker-handles.ts';

/** A TAP device, its workers and the rings between them and the main thread. Exactly one thread may use the object. */
export class Tap {
  readonly name: string;
  readonly #fd: number;
  readonly #mac: Uint8Array;
  #ip4: Ip4Setting | undefined;
  #ip6: Ip6Setting | null = null;
  readonly #workers: WorkerHandles;
  readonly #uplink: RingConsumer;
  readonly #downlink: Downlink;
  readonly #commands: Downlink;
  readonly #tableMemory = createTable();
  readonly #table = new TableReader(this.#tableMemory);
  readonly #socket: UdpSocket | undefined;
  /** The direct carrier's door; undefined when it was not asked for. */
  readonly direct: DirectPort | undefined;
  /** Which super-frames are in use. */
  readonly offload: Offload;
  /** Members can announce themselves as routers to this node's kernel: the machine does not let it be forbidden. */
  readonly acceptsRouters: boolean;
  readonly #clock = threadClock();
  readonly #egressCounters = new Counters(EGRESS_COUNTERS);
  readonly #ingressCounters = new Counters(INGRESS_COUNTERS);
  readonly #mainCounters = new Counters(MAIN_COUNTERS);
  readonly #timers = new Timers();
  readonly #members: Members;
  readonly #watch = newWatch();
  #onReadable: (() => void) | undefined;
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
    this.acceptsRouters = device.acceptsRouters;
    const maxFrame = options.mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
    // One byte more than the longest frame: a read cuts what does not fit, and only so does it show.
    const maxRead = VIRTIO_HEADER_BYTES + (offload.tso ? MAX_SUPER_FRAME : maxFrame) + 1;
    const uplink = createRing(ringBytes(options.uplinkBytes, maxRead));
    const downlink = createRing(ringBytes(options.downlinkBytes, maxRead));
    const commands = createRing(COMMAND_RING_BYTES);
    const control = createRing(CONTROL_RING_BYTES);
    const stats = new DirectStats();
    const both = { tapFd: fd, table: this.#tableMemory, watch: this.#watch };
    const shared = { ...both, mtu: options.mtu, maxRead, offload: testTapWrites(fd, offload) };
    this.#workers = new WorkerHandles(options.workers ?? 1);
    this.#uplink = new RingConsumer(uplink);
    const maxChunk = Math.min(MAX_CHUNK_BYTES, maxRead + DOWNLINK_HEADROOM);
    this.#downlink = new Downlink(downlink, this.#mainCounters, maxChunk, () => this.#workers.ringIngress());
    this.#members = new Members({
      command: (tag, payload) => this.#downlink.command(tag, payload),
      inject: (frame) => this.inject(frame, 0, frame.length),
      own: () => ({
        mac: this.#mac,
        ip4: this.#ip4 === undefined ? null : parseIp4(this.#ip4.address),
      }),
      nowMs: this.#clock,
      timers: this.#timers,
      counters: this.#mainCounters,
    });
    this.#commands = new Downlink(commands, this.#mainCounters, 0, () => this.#workers.ringEgress());
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
    this.#workers.launch(
      {
        ...shared,
        ring: uplink,
        counters: this.#egressCounters.memory,
        direct: direct === null ? null : { ...direct, ring: commands },
      },
      {
        ...shared,
        ring: downlink,
        counters: this.#ingressCounters.memory,
        direct: direct === null ? null : { ...direct, ring: control },
      },
      (error) => this.#fail(error),
    );
    // A thread that sleeps in poll cannot be terminated, and node joins its threads before it exits.
    process.on('exit', this.#onProcessExit);
  }

  /**
   * Creates the device, sets its MAC, MTU and address and sets it up, then starts the workers. The device is gone as soon as
   * close() has settled, and also when the process dies, however it dies.
   * Rejects with ConfigError for options that cannot be, with SystemError when the machine refuses: TAP_NO_DRIVER, TAP_NO_RIGHTS,
   * TAP_NAME_TAKEN, TAP_WORKER_DIED, or the errno name of a refused call.
   */
  static async open(options: TapOptions): Promise<Tap> {
    assertDeviceOptions(options.mac, options.mtu, options.ip4);
    const tap = Tap.#create(options);
    try {
      tap.#bindSelf();
      await tap.#workers.ready();
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
   * must not throw: that is a failure of the whole. Frames that a member's link was waited for with are given during the call of bind
   * or bindLink that gives it its MAC. Throws BugError when called twice.
   */
  onUplink(handler: UplinkHandler): void {
    if (this.#drain !== undefined) throw new BugError('TAP_UPLINK_TAKEN', 'the uplink has a handler already');
    const receive: UplinkHandler = (tag, data, offset, length) => {
      if (tag <= LINK_MAX) handler(tag, data, offset, length);
      else if (tag === TAG_READABLE) this.#onReadable?.();
      else if (tag === TAG_PATH_ERROR) this.direct?.pathFailed(word16(data, offset), data[offset + 2] ?? 0);
      else this.#members.receive(tag, data, offset, length);
    };
    this.#members.forwardTo(handler);
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
    if (kind === 'mac') this.#members.flush(link);
  }

  /** Binds a link that came up to all that its other end is: bind() for each address, and the translation of what comes in. */
  bindLink(link: number, { mac, ip4, ip6, translation, isLayer3 }: LinkBinding): void {
    assertLink(link);
    if (translation !== undefined) {
      assertTranslation(translation);
      this.#downlink.command(TAG_SET_TRANSLATION, encodeTranslation(link, translation));
    }
    const known = translation?.source ?? ip4;
    this.#bind(link, KIND_MAC, mac);
    if (known !== null) this.#bind(link, KIND_IP4, known);
    if (ip6 !== null) this.#bind(link, KIND_IP6, ip6);
    // Last: an answer may be back at once.
    this.#members.flush(link, isLayer3);
  }

  /** Forgets all that a link had, learned or bound; takes effect before any frame delivered later. */
  unbindLink(link: number): void {
    assertLink(link);
    this.#members.unbinding(link);
    this.#downlink.command(TAG_UNBIND_LINK, encodeUnbindLink(link));
  }

  /**
   * Says that a node may be linked, or what is new of it. Frames for it wait, a few and for some seconds, until a link binds its MAC, and
   * while it has no link, ARP and neighbour discovery for its addresses are answered here. Idempotent. Throws ConfigError
   * TAP_MEMBERS_FULL beyond 4096 members, TAP_MEMBER_MAC for the MAC of another one, TAP_MAC and TAP_ADDRESS for what is no address.
   */
  setMember(member: Member): void {
    this.#members.set(member);
  }

  /** Takes setMember back; what waits for the member is dropped. A link that it has stays. Idempotent. */
  removeMember(uid: string): void {
    this.#members.remove(uid);
  }

  /** A new Tap is a switch without on-demand links. */
  setMode({ layer, onDemand, kept = [] }: NetworkMode): void {
    setLayer(this.#tableMemory, layer);
    this.#members.setMode(onDemand, kept);
  }

  /** The one handler that is told, on demand, of a member to which an application sends but that has no link. It must not throw. */
  onWanted(handler: WantedHandler): void {
    this.#members.onWanted(handler);
  }

  /** The one handler that may take frames for members without a link, before they are held. It must not throw. */
  onOrphan(handler: OrphanHandler): void {
    this.#members.onOrphan(handler);
  }

  /** Hands an Ethernet frame to this node's own kernel, from nobody's link; false when it was dropped here, which is counted. */
  inject(data: Uint8Array, offset: number, length: number): boolean {
    return this.#downlink.frame(LINK_MEMBER, data, offset, length);
  }

  /** All counters by name, from the start of the device; learned_macs, members and held_frames are levels. */
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
    if (old !== undefined) this.#unbindSelf(KIND_IP4, parseIp4(old.address));
    this.#bindSelf();
  }

  /**
   * Replaces this node's IPv6 address, which a new Tap does not have; null: none any more. Rejects with ConfigError, or with SystemError: an
   * errno name such as EACCES (IPv6 is switched off for the device) or EAFNOSUPPORT (the kernel has none). Then the old one may be gone.
   */
  async setAddress6(ip6: Ip6Setting | null): Promise<void> {
    if (ip6 !== null) assertIp6(ip6);
    const old = this.#ip6;
    this.#ip6 = null;
    replaceIp6(this.name, old, ip6);
    this.#ip6 = ip6;
    if (old !== null) this.#unbindSelf(KIND_IP6, old.address);
    this.#bindSelf();
  }

  /**
   * Calls the handler once, when the descriptor can be read or was closed: Node's event loop cannot wait for one of every kind, the egress
   * worker can. Takes the place of what was watched before. Needs onUplink.
   */
  whenReadable(fd: number, handler: () => void): void {
    this.#onReadable = handler;
    setWatched(this.#watch, fd);
    this.#workers.ringEgress();
  }

  /** Ends the workers and removes the device. May be called again. */
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
    if (this.#ip6 !== null) this.#bind(LINK_SELF, KIND_IP6, this.#ip6.address);
  }

  #unbindSelf(kind: number, address: Uint8Array): void {
    this.#downlink.command(TAG_UNBIND_ADDRESS, encodeBind(LINK_SELF, kind, address));
  }

  #bind(link: number, kind: number, address: Uint8Array): void {
    assertAddress(kind, address);
    this.#downlink.command(TAG_BIND, encodeBind(link, kind, address));
    if (link !== LINK_SELF) this.#members.bound(link, kind, address);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#closing !== undefined) return;
    this.#failure = error;
    for (const handler of this.#failureHandlers) handler(error);
  }

  async #shutDown(): Promise<void> {
    process.off('exit', this.#onProcessExit);
    this.#timers.clearAll();
    this.#drain?.stop();
    this.direct?.stop();
    this.#downlink.stop();
    this.#commands.stop();
    await this.#workers.stop();
    this.#socket?.close();
    try {
      closeFd(this.#fd);
    } catch (cause) {
      throw new SystemError('TAP_CLOSE', `cannot close TAP device ${this.name}`, { cause });
    }
  }

  readonly #onProcessExit = (): void => {
    this.#workers.askToStop();
  };
}
