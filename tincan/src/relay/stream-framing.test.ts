import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deframer, toStream } from './stream-framing.ts';

const stun = fc
  .tuple(fc.integer({ min: 0, max: 0x3fff }), fc.uint8Array({ maxLength: 400 }))
  .map(([type, body]) => {
    const length = body.length & ~3;
    const message = new Uint8Array(20 + length);
    new DataView(message.buffer).setUint16(0, type);
    new DataView(message.buffer).setUint16(2, length);
    message.set(body.subarray(0, length), 20);
    return message;
  });

const channelData = fc
  .tuple(fc.integer({ min: 0x4000, max: 0x4fff }), fc.uint8Array({ maxLength: 400 }))
  .map(([channel, body]) => {
    const message = new Uint8Array(4 + body.length);
    new DataView(message.buffer).setUint16(0, channel);
    new DataView(message.buffer).setUint16(2, body.length);
    message.set(body, 4);
    return message;
  });

function deframed(chunks: readonly Uint8Array[]): { messages: Buffer[]; isSound: boolean } {
  const messages: Buffer[] = [];
  const deframer = new Deframer((message) => messages.push(Buffer.from(message)));
  return { isSound: chunks.every((chunk) => deframer.push(chunk)), messages };
}

test('messages come out of a stream as they went in, however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(stun, channelData), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }),
      (sent, cuts) => {
        const stream = Buffer.concat(sent.map((message) => toStream(message) ?? Buffer.from('lost')));
        expect(stream.length % 4).toBe(0);
        const chunks: Uint8Array[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const size = cuts[cut % cuts.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const { messages, isSound } = deframed(chunks);
        expect(isSound).toBe(true);
        expect(messages).toEqual(sent.map((message) => Buffer.from(message)));
      },
    ),
  );
});

test('no bytes break the deframer, and it gives out no more than it was given', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 30 }), (chunks) => {
      const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      const { messages } = deframed(chunks);
      expect(messages.reduce((sum, message) => sum + message.length, 0)).toBeLessThanOrEqual(total);
    }),
  );
});

test('a datagram that would break the framing for all after it is refused', () => {
  const refused = [
    [],
    [0x40],
    // An RTP packet, a DTLS record, one of our own datagrams.
    [0x80, 0x60, 0, 1],
    [0x16, 0xfe, 0xfd, 0],
    [0xc0, 0, 0, 0],
    // ChannelData that promises more than it has, and such with a tail.
    [0x40, 0, 0, 5, 1],
    [0x40, 0, 0, 1, 1, 0, 0, 0, 0],
    // STUN with a length that is not a multiple of four, and with a tail.
    [0, 1, 0, 2, ...new Array(18).fill(0)],
    [0, 1, 0, 0, ...new Array(17).fill(0)],
  ];
  for (const bytes of refused) expect(toStream(Uint8Array.from(bytes))).toBeUndefined();
});

test('ChannelData that is padded already is not padded again', () => {
  const message = Uint8Array.from([0x40, 0, 0, 1, 7, 0, 0, 0]);
  expect(toStream(message)).toEqual(message);
  expect(toStream(message.subarray(0, 5))).toEqual(message);
});

test('a stream of something else is given up at its first bytes', () => {
  expect(deframed([Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')]).isSound).toBe(false);
  // STUN whose length is no multiple of four.
  expect(deframed([Uint8Array.from([0, 1, 0, 2])]).isSound).toBe(false);
});
