// One impaired cable of a lab, a process of its own:  node wire-main.js JSON
// It makes two TAP devices in its network namespace, says "ready" on standard output and carries frames between them for ever;
// `wire.ts` puts the devices where they belong. It ends by being killed, which removes both devices.
//
// The kernel may lack netem, so delay and loss are made here. A frame costs one read and one write; nothing is allocated per frame.
import { openSync, writeSync } from 'node:fs';
import {
  addressOf,
  EAGAIN,
  openTap,
  POLLIN,
  PollSet,
  readInto,
  stableBytes,
  systemCallError,
  writeFrom,
} from '@kith/posix';
import { Dice, type Impairment, IS_LATE, IS_LOST } from './wire-fate.ts';
import { WireQueue } from './wire-queue.ts';
import { parseWireStart, type WireCounters } from './wire-start.ts';

/** Room for an Ethernet frame with a VLAN tag at the largest MTU that a lab uses (9000). */
const SLOT_BYTES = 9216;
/** 100 ms of a 1 Gbit/s stream of full frames; what comes on top is dropped, as in any router's queue. */
const SLOTS = 8192;
const LATE_SLOTS = 1024;
/** Where a frame is read to that will not be kept. */
const WASTE = (SLOTS + LATE_SLOTS) * SLOT_BYTES;
/** Frames read from one side before the other side and the clock get their turn. */
const BATCH = 64;
/** How often the counters are written out while frames move. */
const COUNTERS_MS = 100;

/** One direction of the wire. */
class Line {
  readonly #from: number;
  readonly #to: number;
  readonly #impairment: Impairment;
  readonly #dice: Dice;
  readonly #memory = stableBytes(WASTE + SLOT_BYTES);
  readonly #address = addressOf(this.#memory);
  readonly #queue = new WireQueue(0, SLOTS, SLOT_BYTES);
  readonly #late = new WireQueue(SLOTS * SLOT_BYTES, LATE_SLOTS, SLOT_BYTES);
  #passed = 0;
  #lost = 0;
  #overtaken = 0;
  #overflowed = 0;
  #refused = 0;

  constructor(from: number, to: number, impairment: Impairment, seed: number) {
    this.#from = from;
    this.#to = to;
    this.#impairment = impairment;
    this.#dice = new Dice(impairment, seed);
  }

  /** Takes in a batch of frames; `now` in milliseconds. True when there may be more. */
  read(now: number): boolean {
    const { delayMs, reorderMs } = this.#impairment;
    for (let taken = 0; taken < BATCH; taken++) {
      const full = this.#queue.full;
      const slot = full ? WASTE : this.#queue.free;
      const length = readInto(this.#from, this.#address + slot, SLOT_BYTES);
      if (length === -EAGAIN) return false;
      // Nothing can be done about a device that is gone but to say so.
      if (length < 0) throw systemCallError('read from a TAP device', -length);
      const fate = this.#dice.throw();
      if (fate === IS_LOST) this.#lost++;
      else if (full || (fate === IS_LATE && this.#late.full)) this.#overflowed++;
      else if (fate === IS_LATE) {
        this.#memory.copyWithin(this.#late.free, slot, slot + length);
        this.#late.push(length, now + delayMs + reorderMs);
        this.#overtaken++;
      } else this.#queue.push(length, now + delayMs);
    }
    return true;
  }

  /** Sends on all frames that are due. */
  write(now: number): void {
    while (this.#queue.due <= now) this.#send(this.#queue);
    while (this.#late.due <= now) this.#send(this.#late);
  }

  #send(queue: WireQueue): void {
    if (writeFrom(this.#to, this.#address + queue.offset, queue.length) < 0) this.#refused++;
    else this.#passed++;
    queue.pop();
  }

  /** When the next frame is due; Infinity when none is under way. */
  get due(): number {
    return Math.min(this.#queue.due, this.#late.due);
  }

  count(): WireCounters {
    return {
      passed: this.#passed,
      lost: this.#lost,
      overtaken: this.#overtaken,
      overflowed: this.#overflowed,
      refused: this.#refused,
    };
  }
}

function carry(lines: readonly [Line, Line], fds: readonly [number, number], countersFd: number): never {
  const poll = new PollSet(fds.map((fd) => ({ fd, events: POLLIN })));
  const [there, back] = lines;
  let written = 0;
  for (;;) {
    let now = performance.now();
    if (now - written >= COUNTERS_MS) {
      written = now;
      // Fixed length, so that a reader never sees the tail of a longer one.
      const text = JSON.stringify({ to_host: there.count(), from_host: back.count() });
      writeSync(countersFd, `${text.padEnd(511)}\n`, 0);
    }
    const moreThere = there.read(now);
    const moreBack = back.read(now);
    now = performance.now();
    there.write(now);
    back.write(now);
    if (moreThere || moreBack) continue;
    // poll() knows whole milliseconds: rounded up, or the last fraction of one would be spent spinning.
    const wait = Math.ceil(Math.min(there.due, back.due) - now);
    poll.wait(Math.max(0, Math.min(wait, COUNTERS_MS)));
  }
}

const start = parseWireStart(process.argv[2]);
const portFd = openTap(start.portName);
const hostFd = openTap(start.hostName);
const counters = openSync(start.countersFile, 'w', 0o644);
writeSync(1, 'ready\n');
carry(
  [
    new Line(portFd, hostFd, start.toHost, start.seed),
    new Line(hostFd, portFd, start.fromHost, start.seed + 1),
  ],
  [portFd, hostFd],
  counters,
);
