import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Chunker } from './chunker.ts';
import { Counters, INGRESS_COUNTERS } from './counters.ts';
import { Fragments, fragmentBytes } from './fragments.ts';
import { GLUER_HEADROOM, Gluer } from './gluer.ts';
import { IngressSwitch } from './ingress-switch.ts';
import { createTable } from './table-layout.ts';
import { type SuperFrameFields, segmentsOf, superFrame } from './test-super-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

const LINK = 7;
const MAX_FRAME = 1378;
const CHUNK_BYTES = 1400;
/** The addresses of the super-frames that superFrame builds, and what they become. */
const FROM = Uint8Array.of(172, 31, 0, 10);
const SOURCE = Uint8Array.of(10, 9, 8, 7);
const DESTINATION = Uint8Array.of(10, 0, 0, 1);
const TRANSLATION = { remote: FROM, source: SOURCE, destination: DESTINATION };

/** Takes a super-frame through the chunks of a link, as the two workers do, with the link's translation. */
function carry(frame: Uint8Array, takesSuperFrames: boolean, remote = FROM) {
  const counters = new Counters(INGRESS_COUNTERS);
  const ingress = new IngressSwitch(createTable(), counters);
  ingress.setTranslation(LINK, { ...TRANSLATION, remote });
  const sent = new Uint8Array(80_000);
  sent.set(frame);
  const chunker = new Chunker();
  expect(chunker.begin(sent, 0, frame.length)).toBe(true);
  const memory = new Uint8Array(150_000);
  const written: Uint8Array[] = [];
  let refused = 0;
  const fragments = new Fragments(
    new Uint8Array(fragmentBytes(MAX_FRAME, VIRTIO_HEADER_BYTES)),
    0,
    MAX_FRAME,
    VIRTIO_HEADER_BYTES,
  );
  const offload = { tso: takesSuperFrames, uso: takesSuperFrames };
  const gluer = new Gluer(memory, MAX_FRAME, offload, fragments, counters, (link) => {
    if (!ingress.enter(link, gluer, 0)) {
      refused++;
      return;
    }
    const parts: number[] = [];
    for (let part = 0; part < gluer.partCount; part++) {
      const at = gluer.partAt[part] ?? 0;
      parts.push(...memory.subarray(at, at + (gluer.partBytes[part] ?? 0)));
    }
    written.push(Uint8Array.from(parts));
  });
  for (let at = GLUER_HEADROOM; ; ) {
    const bytes = chunker.next(sent, 70_000, CHUNK_BYTES);
    if (bytes === 0) break;
    memory.set(sent.subarray(70_000, 70_000 + bytes), at);
    gluer.accept(LINK, at, bytes);
    at += bytes + GLUER_HEADROOM;
  }
  gluer.flush();
  return { written, refused, counters };
}

const fields: fc.Arbitrary<SuperFrameFields> = fc.record({
  isUdp: fc.boolean(),
  hasVlan: fc.boolean(),
  ipOptions: fc.nat(10),
  tcpOptions: fc.nat(10),
  gso: fc.integer({ min: 700, max: 1220 }),
  payload: fc
    .integer({ min: 1, max: 20_000 })
    .map((length) => new Uint8Array(length).map((_, index) => index * 31)),
});

test.each([true, false])(
  'super-frames and their segments come out whole with other addresses (super-frames: %s)',
  (takes) => {
    fc.assert(
      fc.property(fields, (wanted) => {
        const original = superFrame(wanted);
        const { written, counters } = carry(original, takes);
        // Throws when a length or checksum is wrong.
        expect(written.flatMap((frame) => segmentsOf(frame))).toEqual(segmentsOf(original));
        for (const frame of written) {
          const network = VIRTIO_HEADER_BYTES + (wanted.hasVlan === true ? 18 : 14);
          expect(frame.slice(network + 12, network + 16)).toEqual(SOURCE);
          expect(frame.slice(network + 16, network + 20)).toEqual(DESTINATION);
        }
        expect(counters.get('dropped_spoofed_ip')).toBe(0);
      }),
      { numRuns: 60 },
    );
  },
);

test('every segment of a super-frame from a wrong source is refused and counted', () => {
  const original = superFrame({ gso: 1000, payload: new Uint8Array(4500) });
  for (const [takes, frames] of [
    [true, 1],
    [false, 5],
  ] as const) {
    const { written, refused, counters } = carry(original, takes, SOURCE);
    expect(written).toEqual([]);
    expect(refused).toBe(frames);
    expect(counters.get('dropped_spoofed_ip')).toBe(frames);
  }
});
