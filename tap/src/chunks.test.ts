import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHUNK_FRAGMENT, MIN_CHUNK_BYTES } from './chunk.ts';
import { Chunker } from './chunker.ts';
import { Counters, GLUER_COUNTERS } from './counters.ts';
import type { Offload } from './device.ts';
import { FRAGMENT_SLOTS, Fragments, fragmentBytes } from './fragments.ts';
import { GLUER_HEADROOM, Gluer } from './gluer.ts';
import { arp, ethernet, IP_A, MAC_A } from './test-frames.ts';
import { type Segment, type SuperFrameFields, segmentsOf, superFrame } from './test-super-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

const LINK = 7;
const MTU = 1360;
const MAX_FRAME = MTU + 18;
/** Room before each chunk in the receiver's buffer, as the header of a datagram leaves it. */
const STRIDE = 66_000;
const EVERYTHING: Offload = { tso: true, uso: true };
const NOTHING: Offload = { tso: false, uso: false };

interface Received {
  readonly link: number;
  readonly written: Uint8Array;
}

class Receiver {
  readonly counters = new Counters(GLUER_COUNTERS);
  readonly received: Received[] = [];
  readonly #memory: Uint8Array;
  readonly #gluer: Gluer;
  readonly fragments: Fragments;

  constructor(slots: number, offload = EVERYTHING) {
    this.#memory = new Uint8Array(slots * STRIDE);
    const reassembly = new Uint8Array(fragmentBytes(MAX_FRAME, VIRTIO_HEADER_BYTES));
    this.fragments = new Fragments(reassembly, 0, MAX_FRAME, VIRTIO_HEADER_BYTES);
    const gluer = new Gluer(this.#memory, MAX_FRAME, offload, this.fragments, this.counters, (link) => {
      const parts: number[] = [];
      for (let part = 0; part < gluer.partCount; part++) {
        const at = gluer.partAt[part] ?? 0;
        parts.push(...gluer.memory.subarray(at, at + (gluer.partBytes[part] ?? 0)));
      }
      const written = Uint8Array.from(parts);
      expect(written.length).toBe(VIRTIO_HEADER_BYTES + gluer.frameBytes);
      expect(written.slice(VIRTIO_HEADER_BYTES, 14)).toEqual(
        gluer.memory.slice(gluer.frameAt, gluer.frameAt + 14 - VIRTIO_HEADER_BYTES),
      );
      this.received.push({ link, written });
    });
    this.#gluer = gluer;
  }

  /** One batch, as one call to the kernel would give it. */
  take(chunks: readonly Uint8Array[], link = LINK): void {
    for (const [index, chunk] of chunks.entries()) {
      const at = index * STRIDE + GLUER_HEADROOM;
      this.#memory.set(chunk, at);
      this.#gluer.accept(link, at, chunk.length);
    }
    this.#gluer.flush();
  }

  get segments(): Segment[] {
    return this.received.flatMap(({ written }) => segmentsOf(written));
  }
}

function chunksOf(frame: Uint8Array, maxChunkBytes: number, chunker = new Chunker()): Uint8Array[] {
  // In one buffer, as the egress worker does it.
  const memory = new Uint8Array(200_000);
  memory.set(frame, 0);
  const chunks: Uint8Array[] = [];
  if (!chunker.begin(memory, 0, frame.length)) return chunks;
  for (;;) {
    const bytes = chunker.next(memory, 100_000, maxChunkBytes);
    if (bytes === 0) return chunks;
    expect(bytes).toBeLessThanOrEqual(maxChunkBytes);
    chunks.push(memory.slice(100_000, 100_000 + bytes));
  }
}

/** What no two places of a stream share. */
function stream(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++)
    bytes[index] = (index * 31 + (index >> 8) * 7 + (index >> 16)) & 0xff;
  return bytes;
}

const fields: fc.Arbitrary<SuperFrameFields> = fc.record({
  isIp6: fc.boolean(),
  hasVlan: fc.boolean(),
  ipOptions: fc.nat(10),
  hasExtension: fc.boolean(),
  tcpOptions: fc.nat(10),
  sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
  ip4Id: fc.nat(0xffff),
  tcpFlags: fc.constantFrom(0x10, 0x18, 0x19, 0x90, 0x98, 0x50),
  gso: fc.integer({ min: 536, max: 1220 }),
  payload: fc.oneof(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 3000 })).map(stream),
});
const chunkSize = fc.integer({ min: MIN_CHUNK_BYTES, max: 16_384 });

test('without loss a TCP super-frame comes out as the kernel would have sent it, in one write', () => {
  fc.assert(
    fc.property(fields, chunkSize, (frame, size) => {
      const original = superFrame(frame);
      const chunks = chunksOf(original, size);
      const receiver = new Receiver(chunks.length);
      receiver.take(chunks);
      expect(receiver.segments).toEqual(segmentsOf(original));
      if (chunks.length <= 128) expect(receiver.received.length).toBe(1);
      expect(receiver.counters.get('dropped_bad_chunk')).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('where TAP takes no super-frames, the same segments are written one by one', () => {
  fc.assert(
    fc.property(fields, chunkSize, fc.boolean(), (frame, size, isUdp) => {
      // A kernel sends no more than 64 datagrams at once (UDP_MAX_SEGMENTS).
      const payload = isUdp ? frame.payload.subarray(0, 60 * frame.gso) : frame.payload;
      const original = superFrame({ ...frame, isUdp, payload, tcpFlags: frame.tcpFlags ?? 0 });
      const chunks = chunksOf(original, Math.max(size, frame.gso + 256));
      const receiver = new Receiver(chunks.length, NOTHING);
      receiver.take(chunks);
      expect(receiver.segments).toEqual(segmentsOf(original));
      for (const { written } of receiver.received) expect(written[1]).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('a UDP super-frame keeps the bounds of its datagrams, whatever is lost', () => {
  fc.assert(
    fc.property(fields, chunkSize, fc.infiniteStream(fc.nat(9)), (frame, size, fates) => {
      const original = superFrame({
        ...frame,
        isUdp: true,
        payload: frame.payload.subarray(0, 60 * frame.gso),
      });
      const chunks = chunksOf(original, size);
      const receiver = new Receiver(chunks.length);
      receiver.take(chunks.filter(() => (fates.next().value ?? 0) > 1));
      const sent = segmentsOf(original).map(({ payload }) => payload.join());
      for (const { payload } of receiver.segments) expect(sent).toContain(payload.join());
    }),
    { numRuns: 60 },
  );
});

test('under loss, reordering and duplication every TCP byte that comes out stands at its sequence number', () => {
  fc.assert(
    fc.property(
      fc.array(fields, { minLength: 1, maxLength: 4 }),
      chunkSize,
      fc.infiniteStream(fc.nat(99)),
      (frames, size, fates) => {
        const chunker = new Chunker();
        const chunks: Uint8Array[] = [];
        for (const frame of frames) {
          for (const chunk of chunksOf(superFrame(frame), size, chunker)) {
            const fate = fates.next().value ?? 50;
            if (fate < 8) continue;
            chunks.push(chunk);
            // Fragments that come twice count as lies; the replay window lets no datagram through twice.
            if (fate < 12 && chunk[0] !== CHUNK_FRAGMENT) chunks.push(chunk);
            if (fate > 90 && chunks.length > 1) chunks.splice(-2, 2, ...chunks.slice(-2).reverse());
          }
        }
        const receiver = new Receiver(Math.max(1, chunks.length));
        receiver.take(chunks);
        for (const segment of receiver.segments) {
          const isRight = frames.some(({ payload, sequence = 0 }) => {
            const at = (segment.sequence - sequence) >>> 0;
            return (
              at < payload.length &&
              payload.subarray(at, at + segment.payload.length).join() === segment.payload.join()
            );
          });
          expect(isRight).toBe(true);
        }
        expect(receiver.counters.get('dropped_bad_chunk')).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('of a TCP flow that repeated something a lost chunk costs whole segments only, of the others it costs the fewest chunks', () => {
  fc.assert(
    fc.property(fields, chunkSize, fc.boolean(), (frame, size, repeatsAlone) => {
      const chunker = new Chunker();
      const payload = stream(20_000);
      const first = { ...frame, payload, sequence: 1_000 };
      const next = { ...first, sequence: 21_000 };
      const room = size - 8 - (superFrame(first).length - VIRTIO_HEADER_BYTES - payload.length);
      expect(chunksOf(superFrame(first), size, chunker).length).toBe(Math.ceil(payload.length / room));
      expect(chunksOf(superFrame(next), size, chunker).length).toBe(Math.ceil(payload.length / room));
      // Alone or within a super-frame.
      const again = repeatsAlone ? payload.subarray(0, frame.gso) : payload;
      chunksOf(superFrame({ ...first, payload: again }), size, chunker);
      const later = superFrame({ ...first, sequence: 41_000 });
      const chunks = chunksOf(later, size, chunker);
      for (let lost = 0; room >= frame.gso && lost < chunks.length; lost++) {
        const receiver = new Receiver(chunks.length);
        receiver.take(chunks.filter((_, index) => index !== lost));
        const sent = segmentsOf(later).map(({ payload }) => payload.join());
        for (const { payload } of receiver.segments) expect(sent).toContain(payload.join());
      }
      // The same ports, but of another machine.
      const elsewhere = superFrame({ ...first, sequence: 61_000, isIp6: frame.isIp6 !== true });
      const elsewhereRoom = size - 8 - (elsewhere.length - VIRTIO_HEADER_BYTES - payload.length);
      expect(chunksOf(elsewhere, size, chunker).length).toBe(Math.ceil(payload.length / elsewhereRoom));
    }),
    { numRuns: 40 },
  );
});

test('a lost chunk costs itself alone, FIN and PSH come with the last byte only, CWR with the first only', () => {
  const original = superFrame({ gso: 1000, payload: stream(10_000), tcpFlags: 0x99, sequence: 0xffff_f000 });
  const chunks = chunksOf(original, 2_000);
  const receiver = new Receiver(chunks.length);
  receiver.take(chunks.filter((_, index) => index !== 2));
  const lost = (chunks[2]?.length ?? 0) - 8 - 66;
  const segments = receiver.segments;
  expect(segments.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(10_000 - lost);
  expect(receiver.received.length).toBe(2);
  expect(segments.map(({ flags }) => flags & 0x89).filter((flags) => flags !== 0)).toEqual([0x80, 0x09]);
  expect(receiver.received.map(({ written }) => written[1])).toEqual([0x81, 1]);
});

test('frames of every other kind come out as they went in, in fragments where they must', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 0, maxLength: MTU }),
      chunkSize,
      fc.boolean(),
      (payload, size, isReversed) => {
        const frame = ethernet({ type: 0x88b5, payload });
        const chunks = chunksOf(Uint8Array.from([...new Uint8Array(VIRTIO_HEADER_BYTES), ...frame]), size);
        const receiver = new Receiver(chunks.length);
        receiver.take(isReversed ? chunks.reverse() : chunks);
        expect(receiver.received.map(({ written }) => [...written.subarray(VIRTIO_HEADER_BYTES)])).toEqual([
          [...frame],
        ]);
      },
    ),
  );
});

test('fragments that never become whole give way to newer ones, and are counted', () => {
  const receiver = new Receiver(1);
  const chunker = new Chunker();
  const big = Uint8Array.from([
    ...new Uint8Array(VIRTIO_HEADER_BYTES),
    ...ethernet({ type: 0x88b5, payload: stream(1300) }),
  ]);
  for (let count = 0; count < FRAGMENT_SLOTS + 3; count++) {
    const [first] = chunksOf(big, 600, chunker);
    if (first !== undefined) receiver.take([first]);
  }
  expect(receiver.fragments.lost).toBe(3);
  for (const chunk of chunksOf(big, 600, chunker)) receiver.take([chunk]);
  expect(receiver.received.length).toBe(1);
});

test('a checksum that the receiver could not find is computed before the frame leaves', () => {
  // GRE, say: the kernel asks for a checksum deep inside the frame.
  const payload = stream(100);
  payload[50] = 0;
  payload[51] = 0;
  const frame = Uint8Array.from([
    1,
    0,
    0,
    0,
    0,
    0,
    14 + 40,
    0,
    10,
    0,
    ...ethernet({ type: 0x88b5, payload }),
  ]);
  const [chunk] = chunksOf(frame, 1500);
  const receiver = new Receiver(1);
  receiver.take(chunk === undefined ? [] : [chunk]);
  const written = receiver.received[0]?.written ?? new Uint8Array(0);
  expect(written[0]).toBe(0);
  const covered = written.subarray(VIRTIO_HEADER_BYTES + 14 + 40);
  let sum = 0;
  for (let at = 0; at < covered.length; at += 2) sum += ((covered[at] ?? 0) << 8) | (covered[at + 1] ?? 0);
  expect(sum % 0xffff).toBe(0);
});

test('a bundle gives each of its frames', () => {
  const frames = [arp(MAC_A, IP_A), stream(46), stream(100)].map((payload) =>
    ethernet({ type: 0x0806, payload }),
  );
  const records = frames.flatMap((frame) => [0, frame.length >> 8, frame.length & 0xff, ...frame]);
  const receiver = new Receiver(1);
  receiver.take([Uint8Array.from([4, 0, 0, 0, 0, 0, 0, 0, ...records])]);
  expect(receiver.received.map(({ written }) => [...written.subarray(VIRTIO_HEADER_BYTES)])).toEqual(
    frames.map((frame) => [...frame]),
  );
});

test('pieces of two links are never glued together', () => {
  const chunks = chunksOf(superFrame({ gso: 1000, payload: stream(4000) }), 1500);
  const memory = new Uint8Array(2 * STRIDE);
  const links: number[] = [];
  const fragments = new Fragments(new Uint8Array(fragmentBytes(MAX_FRAME, 10)), 0, MAX_FRAME, 10);
  const counters = new Counters(GLUER_COUNTERS);
  const gluer = new Gluer(memory, MAX_FRAME, EVERYTHING, fragments, counters, (link) => links.push(link));
  for (const [index, chunk] of chunks.slice(0, 2).entries()) {
    memory.set(chunk, index * STRIDE + 2);
    gluer.accept(index, index * STRIDE + 2, chunk.length);
  }
  gluer.flush();
  expect(links).toEqual([0, 1]);
});

test('a piece of another super-frame is not glued to one whose identifier it shares', () => {
  const payload = stream(4000);
  const [first, second] = [7, 100_000].map((sequence) =>
    // A chunker of its own for each, so that both count from the same number.
    chunksOf(superFrame({ gso: 1000, sequence, payload }), 1500),
  );
  const [head, tail] = [first?.[0], second?.[1]];
  if (head === undefined || tail === undefined) throw new Error('a super-frame made no chunks');
  expect(tail.subarray(2, 4)).toEqual(head.subarray(2, 4));
  const receiver = new Receiver(2);
  receiver.take([head, tail]);
  expect(receiver.received).toHaveLength(2);
  const sequences = receiver.received.map(({ written }) => segmentsOf(written)[0]?.sequence);
  expect(sequences[0]).toBe(7);
  expect(sequences[1]).toBeGreaterThan(100_000);
});

test('hostile chunks neither throw nor come out as frames beyond what TAP takes', () => {
  const honest = fc
    .tuple(fields, chunkSize)
    .map(([frame, size]) => chunksOf(superFrame(frame), size))
    .filter((chunks) => chunks.length > 0)
    .chain((chunks) => fc.constantFrom(...chunks));
  const spoilt = fc
    .tuple(honest, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }), fc.nat(120))
    .map(([chunk, changes, cut]) => {
      const bytes = chunk.slice(0, Math.max(0, chunk.length - cut));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
  const header = fc
    .tuple(
      fc.nat(6),
      fc.nat(7),
      fc.nat(0xffff),
      fc.nat(0xffff),
      fc.nat(0xffff),
      fc.uint8Array({ maxLength: 300 }),
    )
    .map(([kind, flags, id, offset, gso, bytes]) =>
      Uint8Array.from([kind, flags, id >> 8, id, offset >> 8, offset, gso >> 8, gso, ...bytes]),
    );
  fc.assert(
    fc.property(fc.array(fc.oneof(spoilt, header), { maxLength: 8 }), fc.boolean(), (chunks, takesAll) => {
      const receiver = new Receiver(Math.max(1, chunks.length), takesAll ? EVERYTHING : NOTHING);
      receiver.take(chunks);
      for (const { written } of receiver.received) {
        const frameBytes = written.length - VIRTIO_HEADER_BYTES;
        expect(frameBytes).toBeLessThanOrEqual(written[1] === 0 ? MAX_FRAME : 65_535 + 18);
        expect(frameBytes).toBeGreaterThanOrEqual(14);
      }
    }),
    { numRuns: 300 },
  );
});

test('what a TAP cannot have given makes no chunks', () => {
  const chunker = new Chunker();
  const memory = new Uint8Array(2000);
  const random = fc.tuple(fc.uint8Array({ minLength: 10, maxLength: 10 }), fc.uint8Array({ maxLength: 300 }));
  fc.assert(
    fc.property(random, ([virtio, frame]) => {
      memory.set(virtio, 0);
      memory.set(frame, 10);
      if (!chunker.begin(memory, 0, 10 + frame.length)) {
        expect(chunker.next(memory, 1000, MIN_CHUNK_BYTES)).toBe(0);
      } else {
        expect(chunker.next(memory, 1000, MIN_CHUNK_BYTES)).toBeGreaterThan(0);
      }
    }),
  );
});
