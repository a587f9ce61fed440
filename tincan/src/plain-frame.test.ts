import { VIRTIO_HEADER_BYTES } from '@kith/tap';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainFrame } from './plain-frame.ts';

const START = 34;

/** What the device gives: a virtio header in the machine's order, then the frame. */
function read(frame: Uint8Array, header: { flags?: number; gso?: number; start?: number; field?: number }) {
  const bytes = new Uint8Array(VIRTIO_HEADER_BYTES + frame.length);
  bytes[0] = header.flags ?? 0;
  bytes[1] = header.gso ?? 0;
  bytes.set(new Uint8Array(Uint16Array.of(header.start ?? 0, header.field ?? 0).buffer), 6);
  bytes.set(frame, VIRTIO_HEADER_BYTES);
  return bytes;
}

function onesComplement(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return sum;
}

test('a frame whose checksum is complete comes out as it is, wherever it stands', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 14, maxLength: 200 }), fc.nat(30), (frame, offset) => {
      const bytes = read(frame, {});
      const data = new Uint8Array(offset + bytes.length + 5);
      data.set(bytes, offset);
      expect(plainFrame(data, offset, bytes.length)).toEqual(frame);
    }),
  );
});

test('a partial checksum is completed: with the pseudo-header the segment sums up to all ones', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: START + 8, maxLength: 300 }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.constantFrom(6, 16),
      (bytes, pseudo, field) => {
        fc.pre(START + field + 2 <= bytes.length);
        const frame = Uint8Array.from(bytes);
        frame[START + field] = pseudo >> 8;
        frame[START + field + 1] = pseudo & 0xff;
        const data = read(frame, { flags: 1, start: START, field });
        const plain = plainFrame(data, 0, data.length);
        if (plain === undefined) throw new Error('no frame came out');
        // A receiver sums the segment and the pseudo-header (RFC 1071 §1); the field's first content was that header's sum.
        const sum = onesComplement(plain.subarray(START)) + pseudo;
        expect((sum & 0xffff) + (sum >>> 16)).toBe(0xffff);
        expect(plain.subarray(0, START)).toEqual(frame.subarray(0, START));
      },
    ),
  );
});

test.each([
  ['a super-frame', read(new Uint8Array(100), { gso: 1 })],
  ['a checksum beyond the end', read(new Uint8Array(20), { flags: 1, start: 14, field: 5 })],
  ['a header without frame', new Uint8Array(VIRTIO_HEADER_BYTES)],
])('%s is none', (_, data) => {
  expect(plainFrame(data, 0, data.length)).toBeUndefined();
});
