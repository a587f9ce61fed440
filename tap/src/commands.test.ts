import { createRing, RingConsumer, RingProducer } from '@kith/ring';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  commandAddressAt,
  commandKind,
  commandLink,
  commandTranslation,
  encodeBind,
  encodeTranslation,
  TAG_BIND,
  TAG_SET_TRANSLATION,
} from './commands.ts';

const link = fc.integer({ min: 0, max: 0xffff });
const address = fc.uint8Array({ minLength: 4, maxLength: 4 });

/** What a consumer finds of a command that stands behind another record. */
function sent<T>(tag: number, payload: Uint8Array, read: (ring: RingConsumer) => T): T {
  const memory = createRing(1024);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  producer.push(Uint8Array.of(9, 9, 9), 0, 3, 1);
  producer.push(payload, 0, payload.length, tag);
  producer.publish();
  consumer.peek();
  consumer.release();
  expect(consumer.peek()).toBe(true);
  expect(consumer.tag).toBe(tag);
  return read(consumer);
}

test('a translation comes out of the ring as it went in', () => {
  const fields = { remote: address, source: address, destination: address };
  const translation = fc.oneof(fc.record(fields), fc.record({ ...fields, localMapped: address }));
  fc.assert(
    fc.property(link, translation, (number, wanted) => {
      const payload = encodeTranslation(number, wanted);
      const got = sent(TAG_SET_TRANSLATION, payload, (ring) => ({
        number: commandLink(ring),
        translation: commandTranslation(ring),
      }));
      expect(got).toEqual({ number, translation: wanted });
    }),
  );
});

test('a binding comes out of the ring as it went in', () => {
  const bound = fc.uint8Array({ minLength: 4, maxLength: 16 });
  fc.assert(
    fc.property(link, fc.integer({ min: 1, max: 3 }), bound, (number, kind, bytes) => {
      const got = sent(TAG_BIND, encodeBind(number, kind, bytes), (ring) => ({
        number: commandLink(ring),
        kind: commandKind(ring),
        bytes: ring.bytes.slice(commandAddressAt(ring), commandAddressAt(ring) + bytes.length),
      }));
      expect(got).toEqual({ number, kind, bytes });
    }),
  );
});
