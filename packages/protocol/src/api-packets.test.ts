import { PeerError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  API_TYPE_ICC_CONTROL,
  API_TYPE_ICC_PACKET,
  MAX_ICC_BYTES,
  readApiPacket,
  readIcc,
  writeApiPacket,
} from './index.ts';

const uid = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((text) => !/^0+$/.test(text));
const type = fc.constantFrom(API_TYPE_ICC_CONTROL, API_TYPE_ICC_PACKET);

test('a packet survives its codec, and no destination is zeros', () => {
  fc.assert(
    fc.property(
      fc.option(uid),
      fc.option(uid),
      fc.uint8Array({ minLength: 14, maxLength: 1_600 }),
      (source, destination, frame) => {
        const payload = writeApiPacket(source, destination, frame);
        const packet = readApiPacket(payload);
        expect({ ...packet, frame: Uint8Array.from(packet.frame) }).toEqual({ source, destination, frame });
        if (destination === null) expect(payload.toString('hex', 20, 40)).toMatch(/^0{40}$/);
      },
    ),
  );
});

test("an ICC message is known by IPOP's MAC with its own type at the end, and by nothing else", () => {
  fc.assert(
    fc.property(uid, uid, type, fc.uint8Array({ maxLength: 500 }), (source, destination, kind, text) => {
      const frame = Buffer.concat([
        Uint8Array.of(0x00, 0x69, 0x70, 0x6f, 0x70, kind),
        Buffer.alloc(8),
        Buffer.from(text),
      ]);
      const payload = writeApiPacket(source, destination, frame);
      expect(Buffer.from(readIcc(kind, payload).frame)).toEqual(frame);
      const other = kind === API_TYPE_ICC_CONTROL ? API_TYPE_ICC_PACKET : API_TYPE_ICC_CONTROL;
      expect(() => readIcc(other, payload)).toThrow(expect.objectContaining({ field: 'mac' }));
    }),
  );
});

test.each([
  ['frame', Buffer.alloc(53)],
  ['destination', Buffer.alloc(60)],
  ['mac', Buffer.alloc(60, 1)],
  ['payload', Buffer.alloc(MAX_ICC_BYTES + 1, 1)],
])('a bad %s is refused by name', (field, payload) => {
  expect(() => readIcc(API_TYPE_ICC_CONTROL, payload)).toThrow(
    expect.objectContaining({ code: 'API_PACKET', fault: 'peer', field }),
  );
});

test('whatever bytes come, the readers throw nothing but PeerError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), type, (payload, kind) => {
      for (const read of [() => readApiPacket(payload), () => readIcc(kind, payload)]) {
        try {
          read();
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }
    }),
  );
});
