import { parentPort, workerData } from 'node:worker_threads';
import { addressOf, EBADFD, EventFd, POLLIN, PollSet, systemCallError, writeFrom } from '@kith/posix';
import { RingConsumer } from '@kith/ring';
import { LINK_ALL } from './addresses.ts';
import { threadClock } from './clock.ts';
import { commandAddressAt, commandKind, commandLink, TAG_BIND } from './commands.ts';
import { Counters, INGRESS_COUNTERS } from './counters.ts';
import { IngressSwitch } from './ingress-switch.ts';
import { isAskedToStop } from './stop.ts';
import { READY, type WorkerStart } from './worker-start.ts';

/** Records between two looks at the clock and the stop word, and between two returns of ring space to the main thread. */
const BATCH = 64;

/** Downlink ring to TAP: sleeps in poll, carries out commands, writes the frames that the switch admits straight from the ring. */
class IngressWorker {
  readonly #start: WorkerStart;
  readonly #bell: EventFd;
  readonly #poll: PollSet;
  readonly #downlink: RingConsumer;
  readonly #downlinkAddress: number;
  readonly #counters: Counters<(typeof INGRESS_COUNTERS)[number]>;
  readonly #switch: IngressSwitch;
  readonly #clock = threadClock();

  constructor(start: WorkerStart) {
    this.#start = start;
    this.#bell = EventFd.attach(start.bellFd);
    this.#poll = new PollSet([{ fd: start.bellFd, events: POLLIN }]);
    this.#downlink = new RingConsumer(start.ring);
    this.#downlinkAddress = addressOf(this.#downlink.bytes);
    this.#counters = new Counters(INGRESS_COUNTERS, start.counters);
    this.#switch = new IngressSwitch(start.table, this.#counters, start.mtu);
  }

  run(): void {
    for (;;) {
      if (isAskedToStop(this.#start.stop)) return;
      if (this.#drainBatch(Math.floor(this.#clock() / 1000)) || !this.#downlink.announceSleep()) continue;
      this.#poll.wait(-1);
      this.#bell.clear();
      this.#downlink.awake();
    }
  }

  /** Whether there may be more. */
  #drainBatch(nowSeconds: number): boolean {
    const ring = this.#downlink;
    for (let count = 0; count < BATCH; count++) {
      if (!ring.peek()) return false;
      if (ring.tag <= LINK_ALL) this.#frame(nowSeconds);
      else this.#command(nowSeconds);
      ring.release();
    }
    ring.flush();
    return true;
  }

  #frame(nowSeconds: number): void {
    const ring = this.#downlink;
    if (!this.#switch.admit(ring.tag, ring.bytes, ring.offset, ring.length, nowSeconds)) return;
    const result = writeFrom(this.#start.tapFd, this.#downlinkAddress + ring.offset, ring.length);
    if (result === ring.length) {
      this.#counters.add('tap_rx_frames');
      this.#counters.add('tap_rx_bytes', result);
    } else if (result === -EBADFD) {
      throw systemCallError('write to the TAP device', EBADFD);
    } else {
      // EIO while the interface is set down, ENOMEM and EAGAIN when the kernel lacks memory: Ethernet may lose frames.
      this.#counters.add('dropped_tap_write');
    }
  }

  #command(nowSeconds: number): void {
    const ring = this.#downlink;
    const link = commandLink(ring);
    if (ring.tag !== TAG_BIND) this.#switch.unbindLink(link);
    else this.#switch.bind(link, commandKind(ring), ring.bytes, commandAddressAt(ring), nowSeconds);
  }
}

const start: WorkerStart = workerData;
const worker = new IngressWorker(start);
parentPort?.postMessage(READY);
worker.run();
