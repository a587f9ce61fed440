// One thread of the tunnel, in one of six roles. It sleeps in poll and ends with its process.
import { workerData } from 'node:worker_threads';
import { BugError } from '@kith/base';
import { addressOf, EventFd, POLLIN, PollSet, writeFrom } from '@kith/posix';
import { RingConsumer, type RingMemory, RingProducer } from '@kith/ring';
import {
  FRAME_BYTES,
  Opener,
  type Pieces,
  RECEIVE_SLOTS,
  RING_FULL,
  readFrame,
  Sealer,
  SLOT_BYTES,
  TAP_REFUSED,
  type TunnelStart,
} from './tunnel.ts';

export type Role = 'egress' | 'ingress' | 'reader' | 'sealer' | 'opener' | 'writer';

export interface WorkerStart {
  readonly role: Role;
  readonly tapFd: number;
  readonly socketFd: number;
  readonly tunnel: TunnelStart;
  /** Of the ring that this role writes or reads. */
  readonly ring: RingMemory;
  readonly bellFd: number;
  /** Counters by DROPS. */
  readonly drops: Int32Array;
}

/** Frames, or receives, that a thread takes before it looks at the other things it has to do; here there is nothing else. */
const BATCH = 64;

/** How long a thread lets its ring empty before it looks again; poll knows no shorter time. */
const FULL_MS = 1;
/** What one receive may bring: as long as the ring has no room for it, it waits in the socket. */
const RECEIVE_BYTES = RECEIVE_SLOTS * SLOT_BYTES;
const nothing = new PollSet([]);

/** Sleeps until `fd` can be read, for ever. */
function onReadable(fd: number, work: () => void): never {
  const poll = new PollSet([{ fd, events: POLLIN }]);
  for (;;) {
    poll.wait(-1);
    work();
  }
}

function egress({ tapFd, socketFd, tunnel, drops }: WorkerStart): never {
  const sealer = new Sealer(socketFd, tunnel, drops);
  return onReadable(tapFd, () => {
    for (let frame = 0; frame < BATCH; frame++) {
      const length = readFrame(tapFd, sealer.frameAddress);
      if (length === 0) return;
      sealer.send(sealer.bytes, sealer.frameAt, length);
    }
  });
}

function ingress({ tapFd, socketFd, tunnel, drops }: WorkerStart): never {
  const frame = ({ vector }: Pieces): void => {
    if (vector.writeTo(tapFd) < 0) Atomics.add(drops, TAP_REFUSED, 1);
  };
  const opener = new Opener(socketFd, tunnel, { frame }, drops);
  return onReadable(socketFd, () => {
    for (let batch = 0; batch < BATCH && opener.receive(); batch++);
  });
}

function reader({ tapFd, ring, bellFd }: WorkerStart): never {
  const producer = new RingProducer(ring);
  const bell = EventFd.attach(bellFd);
  const base = addressOf(producer.bytes);
  return onReadable(tapFd, () => {
    for (let frame = 0; frame < BATCH; frame++) {
      const at = producer.reserve(FRAME_BYTES);
      // What waits in the TAP device is not lost.
      if (at < 0) {
        nothing.wait(FULL_MS);
        break;
      }
      const length = readFrame(tapFd, base + at);
      if (length === 0) break;
      producer.commit(length, 0);
      if (producer.publish()) bell.signal();
    }
  });
}

function sealer({ socketFd, tunnel, ring, bellFd, drops }: WorkerStart): never {
  const out = new Sealer(socketFd, tunnel, drops);
  return consume(ring, bellFd, (bytes, offset, length) => out.send(bytes, offset, length));
}

function opener({ socketFd, tunnel, ring, bellFd, drops }: WorkerStart): never {
  const producer = new RingProducer(ring);
  const bell = EventFd.attach(bellFd);
  const frame = ({ bytes, starts, lengths, count, length }: Pieces): void => {
    let at = producer.reserve(length);
    if (at < 0) {
      Atomics.add(drops, RING_FULL, 1);
      return;
    }
    for (let piece = 0; piece < count; piece++) {
      const start = starts[piece] ?? 0;
      const size = lengths[piece] ?? 0;
      producer.bytes.set(bytes.subarray(start, start + size), at);
      at += size;
    }
    producer.commit(length, 0);
    if (producer.publish()) bell.signal();
  };
  const input = new Opener(socketFd, tunnel, { frame }, drops);
  return onReadable(socketFd, () => {
    for (let batch = 0; batch < BATCH; batch++) {
      if (producer.reserve(RECEIVE_BYTES) < 0) nothing.wait(FULL_MS);
      else if (!input.receive()) return;
    }
  });
}

function writer({ tapFd, ring, bellFd, drops }: WorkerStart): never {
  const base = addressOf(new RingConsumer(ring).bytes);
  return consume(ring, bellFd, (_bytes, offset, length) => {
    if (writeFrom(tapFd, base + offset, length) < 0) Atomics.add(drops, TAP_REFUSED, 1);
  });
}

function consume(
  ring: RingMemory,
  bellFd: number,
  take: (bytes: Uint8Array, offset: number, length: number) => void,
): never {
  const consumer = new RingConsumer(ring);
  const bell = EventFd.attach(bellFd);
  const poll = new PollSet([{ fd: bellFd, events: POLLIN }]);
  for (;;) {
    while (consumer.peek()) {
      take(consumer.bytes, consumer.offset, consumer.length);
      consumer.release();
      consumer.flush();
    }
    if (!consumer.announceSleep()) continue;
    poll.wait(-1);
    bell.clear();
    consumer.awake();
  }
}

const ROLES: Record<Role, (start: WorkerStart) => never> = {
  egress,
  ingress,
  reader,
  sealer,
  opener,
  writer,
};

/** Only `node.ts` starts this. */
function isWorkerStart(value: unknown): value is WorkerStart {
  return typeof value === 'object' && value !== null && 'role' in value && 'tunnel' in value;
}

const start: unknown = workerData;
if (!isWorkerStart(start)) throw new BugError('RING_WORKER', 'started by hand');
ROLES[start.role](start);
