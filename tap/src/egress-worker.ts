import { parentPort, workerData } from 'node:worker_threads';
import {
  addressOf,
  EAGAIN,
  EINTR,
  EventFd,
  POLLIN,
  PollSet,
  readInto,
  stableBytes,
  systemCallError,
} from '@kith/posix';
import { RingProducer } from '@kith/ring';
import { threadClock } from './clock.ts';
import { Counters, EGRESS_COUNTERS } from './counters.ts';
import { DROP, EgressSwitch } from './egress-switch.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import { isAskedToStop } from './stop.ts';
import { READY, type WorkerStart } from './worker-start.ts';

/**
 * Frames per publish. Large enough that the cost of poll, publish and wake-up is spread, small enough that the first frame of
 * a batch waits some 30 µs at most.
 */
const BATCH = 64;
const TAP = 0;
const BELL = 1;

/** TAP to uplink ring: sleeps in poll, reads each frame straight into the ring, tags it with its link. */
class EgressWorker {
  readonly #start: WorkerStart;
  readonly #bell: EventFd;
  readonly #poll: PollSet;
  readonly #uplink: RingProducer;
  readonly #uplinkAddress: number;
  readonly #counters: Counters<(typeof EGRESS_COUNTERS)[number]>;
  readonly #switch: EgressSwitch;
  readonly #clock = threadClock();
  readonly #maxFrame: number;
  /** One byte more than the largest frame: a read cuts what does not fit, and only so does it show. */
  readonly #readBytes: number;
  /** Where frames are read to when the ring is full; they are counted, not kept. */
  readonly #scratch: Uint8Array;
  readonly #scratchAddress: number;

  constructor(start: WorkerStart) {
    this.#start = start;
    this.#bell = EventFd.attach(start.bellFd);
    this.#poll = new PollSet([
      { fd: start.tapFd, events: POLLIN },
      { fd: start.bellFd, events: POLLIN },
    ]);
    this.#uplink = new RingProducer(start.ring);
    this.#uplinkAddress = addressOf(this.#uplink.bytes);
    this.#counters = new Counters(EGRESS_COUNTERS, start.counters);
    this.#switch = new EgressSwitch(start.table, this.#counters, this.#clock());
    this.#maxFrame = start.mtu + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
    this.#readBytes = this.#maxFrame + 1;
    this.#scratch = stableBytes(this.#readBytes);
    this.#scratchAddress = addressOf(this.#scratch);
  }

  run(): void {
    for (;;) {
      this.#poll.wait(-1);
      if (this.#poll.ready(BELL) !== 0) this.#bell.clear();
      if (isAskedToStop(this.#start.stop)) return;
      if (this.#poll.ready(TAP) === 0) continue;
      // POLLERR, which says that the device is gone, comes back as EBADFD from the read.
      this.#readBatch(this.#clock());
      if (this.#uplink.publish()) this.#uplink.wakeSleeper();
    }
  }

  #readBatch(nowMs: number): void {
    for (let count = 0; count < BATCH; count++) {
      const at = this.#uplink.reserve(this.#readBytes);
      const address = at < 0 ? this.#scratchAddress : this.#uplinkAddress + at;
      const length = readInto(this.#start.tapFd, address, this.#readBytes);
      if (length === -EAGAIN || length === -EINTR) return;
      if (length < 0) throw systemCallError('read from the TAP device', -length);
      this.#counters.add('tap_tx_frames');
      this.#counters.add('tap_tx_bytes', length);
      if (at < 0) {
        this.#counters.add('dropped_uplink_full');
        continue;
      }
      if (length > this.#maxFrame) {
        // Somebody raised the interface's MTU by hand.
        this.#counters.add('dropped_oversize');
        continue;
      }
      const link = this.#switch.route(this.#uplink.bytes, at, length, nowMs);
      if (link !== DROP) this.#uplink.commit(length, link);
    }
  }
}

const start: WorkerStart = workerData;
const worker = new EgressWorker(start);
parentPort?.postMessage(READY);
worker.run();
