import {
  addressOf,
  DatagramSender,
  EAGAIN,
  EINTR,
  type HotMemory,
  hotMemory,
  readInto,
  systemCallError,
} from '@kith/posix';
import { RingConsumer, RingProducer } from '@kith/ring';
import { LINK_ALL } from './addresses.ts';
import { threadClock } from './clock.ts';
import { TAG_READABLE } from './commands.ts';
import { Counters, EGRESS_COUNTERS } from './counters.ts';
import {
  decodeKeyed,
  decodePath,
  TAG_CLEAR_PATH,
  TAG_PATH_ERROR,
  TAG_REMOVE_LINK,
  TAG_SET_PATH,
  TAG_SET_SENDER,
} from './direct-commands.ts';
import { DIRECT_EGRESS_BYTES, DirectEgress } from './direct-egress.ts';
import { DirectStats } from './direct-stats.ts';
import { DROP, EgressSwitch } from './egress-switch.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import type { Pace } from './pace.ts';
import { TokenBucket } from './token-bucket.ts';
import { GSO_NONE, VIRTIO_HEADER_BYTES } from './virtio-header.ts';
import { clearWatched, watchedFd } from './watched.ts';
import { word16 } from './wire-bytes.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/**
 * Reads per publish. Large enough that the cost of poll, publish and wake-up is spread, small enough that the first of as many small
 * frames waits some 30 µs at most. As many super-frames are 4 MB, some milliseconds in which the same worker receives nothing; taking no more than
 * 128 KiB at a time, and two receives instead of 16, made loaded pings no faster and one TCP stream a tenth slower (2 processors, two runs).
 */
const BATCH = 64;

/** Path errors told per second: the first says all that the main thread needs. */
const PATH_ERRORS_PER_SECOND = 10;

const NO_BYTES = new Uint8Array(0);

/** The direct carrier's half, and the commands to it. */
interface Direct {
  readonly egress: DirectEgress;
  readonly commands: RingConsumer;
}

/** From TAP to where the frame's link leads: sealed to the socket when it has a direct path, else into the uplink ring, tagged with the link. */
export class Egress {
  readonly #start: DirectionStart;
  readonly #pace: Pace;
  readonly #uplink: RingProducer;
  readonly #uplinkAddress: number;
  readonly #counters: Counters<(typeof EGRESS_COUNTERS)[number]>;
  readonly #switch: EgressSwitch;
  readonly #clock = threadClock();
  readonly #maxFrame: number;
  /** Where frames are read to, virtio header first; behind it the direct carrier writes its datagrams. */
  readonly #memory: HotMemory;
  readonly #direct: Direct | null;
  readonly #pathErrors = new TokenBucket(PATH_ERRORS_PER_SECOND, PATH_ERRORS_PER_SECOND, this.#clock());

  /** @param awaitRoom waits until the direct carrier's socket has room, for some time at most */
  constructor(start: DirectionStart, pace: Pace, awaitRoom: () => void) {
    this.#start = start;
    this.#pace = pace;
    this.#uplink = new RingProducer(start.ring);
    this.#uplinkAddress = addressOf(this.#uplink.bytes);
    this.#counters = new Counters(EGRESS_COUNTERS, start.counters);
    this.#switch = new EgressSwitch(start.table, this.#counters, this.#clock());
    this.#maxFrame = start.mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
    this.#memory = hotMemory(start.maxRead + (start.direct === null ? 0 : DIRECT_EGRESS_BYTES));
    this.#direct = start.direct === null ? null : this.#newDirect(start.direct, awaitRoom);
  }

  /** The descriptor that is to be watched for the main thread. */
  get watched(): number {
    return watchedFd(this.#start.watch);
  }

  /** Takes a batch of the frames that are there. `nowMs` is of threadClock. Throws SystemError when the TAP device is gone. */
  take(nowMs: number): void {
    if (this.#direct?.egress.isUsed === true) this.#readForDirect(this.#direct.egress, nowMs);
    else this.#readForRing(nowMs);
    if (this.#uplink.publish()) this.#uplink.wakeSleeper();
  }

  /** Tells the main thread of the watched descriptor. One that was closed in between counts as one that can be read, as with poll(2). */
  tellReadable(fd: number): void {
    // Without room the descriptor is ready again at the next look.
    if (!this.#uplink.push(NO_BYTES, 0, 0, TAG_READABLE)) return;
    clearWatched(this.#start.watch, fd);
    if (this.#uplink.publish()) this.#uplink.wakeSleeper();
  }

  /** The main thread's commands. True when the worker may sleep afterwards: the next command rings the bell. */
  carryOutCommands(): boolean {
    if (this.#direct === null) return true;
    const { egress, commands } = this.#direct;
    while (commands.peek()) {
      carryOut(egress, commands);
      commands.bytes.fill(0, commands.offset, commands.offset + commands.length);
      commands.release();
    }
    return commands.announceSleep();
  }

  /** No link has a direct path: frames are read straight into the ring. */
  #readForRing(nowMs: number): void {
    for (let count = 0; count < BATCH; count++) {
      const at = this.#uplink.reserve(this.#start.maxRead);
      const length = this.#read(at < 0 ? this.#memory.address : this.#uplinkAddress + at);
      if (length < 0) return;
      if (at < 0) {
        this.#counters.add('dropped_uplink_full');
        continue;
      }
      const link = this.#route(this.#uplink.bytes, at, length, nowMs);
      if (link !== DROP) this.#uplink.commit(length, link);
    }
  }

  /** Some link has a direct path: frames are read beside the datagrams that they become; the others are copied to the ring. */
  #readForDirect(direct: DirectEgress, nowMs: number): void {
    for (let count = 0; count < BATCH; count++) {
      const length = this.#read(this.#memory.address);
      if (length < 0) break;
      const link = this.#route(this.#memory.bytes, 0, length, nowMs);
      if (link === DROP) continue;
      const isDirect = link !== LINK_ALL && direct.send(link, 0, length);
      if (link === LINK_ALL) direct.sendToAll(0, length);
      // The first one does not wait for the look whether there are more that could share its datagram.
      if (count === 0) direct.flush();
      if (isDirect) continue;
      if (!this.#uplink.push(this.#memory.bytes, 0, length, link)) this.#counters.add('dropped_uplink_full');
    }
    direct.flush();
  }

  /** One frame; -1 when there is none. */
  #read(address: number): number {
    const length = readInto(this.#start.tapFd, address, this.#start.maxRead);
    if (length >= 0) return length;
    if (length === -EAGAIN || length === -EINTR) return -1;
    throw systemCallError('read from the TAP device', -length);
  }

  /** Counts a frame and says where it goes. */
  #route(data: Uint8Array, at: number, length: number, nowMs: number): number {
    const frameBytes = length - VIRTIO_HEADER_BYTES;
    this.#counters.add('tap_tx_frames');
    this.#counters.add('tap_tx_bytes', frameBytes);
    this.#pace.add(frameBytes);
    const isSuperFrame = data[at + 1] !== GSO_NONE;
    if (!isSuperFrame && frameBytes > this.#maxFrame) {
      // Somebody raised the interface's MTU by hand.
      this.#counters.add('dropped_oversize');
      return DROP;
    }
    return this.#switch.route(data, at + VIRTIO_HEADER_BYTES, frameBytes, nowMs);
  }

  #newDirect(start: DirectStart, awaitRoom: () => void): Direct {
    const egress = new DirectEgress(
      this.#memory,
      this.#start.maxRead,
      awaitRoom,
      new DatagramSender(start.socketFd),
      start.gso,
      new DirectStats(start.stats),
      this.#counters,
      this.#onPathError,
    );
    return { egress, commands: new RingConsumer(start.ring) };
  }

  readonly #onPathError = (link: number, errno: number): void => {
    if (!this.#pathErrors.take(this.#clock())) return;
    const payload = Uint8Array.of(link >> 8, link, errno);
    this.#uplink.push(payload, 0, payload.length, TAG_PATH_ERROR);
  };
}

function carryOut(egress: DirectEgress, command: RingConsumer): void {
  switch (command.tag) {
    case TAG_SET_SENDER:
      egress.setSender(decodeKeyed(command.bytes, command.offset));
      break;
    case TAG_SET_PATH:
      egress.setPath(decodePath(command.bytes, command.offset));
      break;
    case TAG_CLEAR_PATH:
      egress.clearPath(word16(command.bytes, command.offset));
      break;
    case TAG_REMOVE_LINK:
      egress.removeLink(word16(command.bytes, command.offset));
      break;
  }
}
