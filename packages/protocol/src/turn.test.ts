import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeChannelData,
  encodeChannelData,
  isChannelData,
  MAX_CHANNEL,
  MIN_CHANNEL,
} from './channel-data.ts';
import { canonicalIp } from './ip-text.ts';
import { decodeTurn, encodeTurnRequest, type TurnRequest, turnKey } from './turn.ts';

const KEY = turnKey('user', 'realm', 'pass');
const TRANSACTION = Buffer.from('b7e7a701bc34d686fa87dfae', 'hex');

/** A server's message: type, attributes, and MESSAGE-INTEGRITY where a key is given. */
function serverMessage(type: number, attributes: [number, Buffer][], key?: Uint8Array): Buffer {
  const parts = attributes.map(([kind, value]) => {
    const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
    bytes.writeUInt16BE(kind);
    bytes.writeUInt16BE(value.length, 2);
    value.copy(bytes, 4);
    return bytes;
  });
  const header = Buffer.alloc(20);
  header.writeUInt16BE(type);
  header.writeUInt32BE(0x2112_a442, 4);
  TRANSACTION.copy(header, 8);
  const body = Buffer.concat(parts);
  header.writeUInt16BE(body.length + (key === undefined ? 0 : 24), 2);
  const message = Buffer.concat([header, body]);
  if (key === undefined) return message;
  const proof = createHmac('sha1', key).update(message).digest();
  return Buffer.concat([message, Buffer.from([0, 8, 0, 20]), proof]);
}

/** 198.51.100.9:7000 under the mask of the cookie. */
const ADDRESS = Buffer.from([
  0,
  1,
  (7000 >> 8) ^ 0x21,
  (7000 & 0xff) ^ 0x12,
  198 ^ 0x21,
  51 ^ 0x12,
  100 ^ 0xa4,
  9 ^ 0x42,
]);
const ALLOCATED = serverMessage(
  0x0103,
  [
    [0x0016, ADDRESS],
    [0x000d, Buffer.from([0, 0, 2, 88])],
  ],
  KEY,
);
const INDICATION = serverMessage(0x0017, [
  [0x0012, ADDRESS],
  [0x0013, Buffer.from('abc')],
]);

test("the long-term key is RFC 8489's sample", () => {
  // RFC 8489 §9.2.2: MD5 of "user:realm:pass".
  expect(Buffer.from(KEY).toString('hex')).toBe('8493fbc53ba582fb4c044c456bdc40eb');
});

test('a successful Allocate is read and proves who made it', () => {
  const message = decodeTurn(ALLOCATED);
  expect(message).toMatchObject({
    kind: 'success',
    method: 'allocate',
    transaction: TRANSACTION.toString('hex'),
    relayed: { ip: '198.51.100.9', port: 7000 },
    lifetime: 600,
    code: 0,
  });
  if (message === undefined || message.kind === 'data') expect.unreachable();
  expect(message.isProvedBy(KEY)).toBe(true);
  expect(message.isProvedBy(turnKey('user', 'realm', 'other'))).toBe(false);
});

test('no changed byte of a proved message is both read and believed', () => {
  for (let at = 0; at < ALLOCATED.length; at++) {
    const changed = Buffer.from(ALLOCATED);
    changed[at] = (changed[at] ?? 0) ^ 0x04;
    const message = decodeTurn(changed);
    expect(message !== undefined && message.kind !== 'data' && message.isProvedBy(KEY)).toBe(false);
  }
});

test('what stands behind the integrity does not count', () => {
  const late = Buffer.concat([ALLOCATED, Buffer.from([0, 0x15, 0, 4]), Buffer.from('late')]);
  late.writeUInt16BE(late.length - 20, 2);
  expect(decodeTurn(late)).toMatchObject({ nonce: null });
});

test('a challenge names realm and nonce; a nonce of any bytes goes back as it came', () => {
  const nonce = Buffer.from([0x80, 0xff, 0x41]);
  const message = decodeTurn(
    serverMessage(0x0113, [
      [0x0009, Buffer.from([0, 0, 4, 1, 0x55])],
      [0x0014, Buffer.from('realm')],
      [0x0015, nonce],
    ]),
  );
  expect(message).toMatchObject({ kind: 'error', code: 401, realm: 'realm' });
  if (message === undefined || message.kind === 'data' || message.nonce === null) expect.unreachable();
  const request = encodeTurnRequest({
    method: 'refresh',
    transaction: TRANSACTION,
    auth: { username: 'user', realm: 'realm', nonce: message.nonce, key: KEY },
  });
  expect(Buffer.from(request).includes(nonce)).toBe(true);
});

test('a Data indication gives the peer and its bytes', () => {
  expect(decodeTurn(INDICATION)).toEqual({
    kind: 'data',
    peer: { ip: '198.51.100.9', port: 7000 },
    data: Buffer.from('abc'),
  });
});

test('requests are no responses, are whole multiples of four bytes and name their length', () => {
  const text = fc.string({ maxLength: 30 });
  const request: fc.Arbitrary<TurnRequest> = fc.record(
    {
      method: fc.constantFrom('allocate', 'refresh', 'channelBind'),
      transaction: fc.uint8Array({ minLength: 12, maxLength: 12 }),
      auth: fc.record({ username: text, realm: text, nonce: text, key: fc.constant(KEY) }),
      lifetime: fc.nat(3600),
      channel: fc.integer({ min: MIN_CHANNEL, max: MAX_CHANNEL }),
      peer: fc.record({
        ip: fc.oneof(
          fc.ipV4(),
          fc.ipV6().map((ip) => canonicalIp(ip) ?? '::1'),
        ),
        port: fc.nat(65_535),
      }),
    },
    { requiredKeys: ['method', 'transaction'] },
  );
  fc.assert(
    fc.property(request, (wanted) => {
      const bytes = encodeTurnRequest(wanted);
      expect(bytes.length % 4).toBe(0);
      expect(Buffer.from(bytes).readUInt16BE(2)).toBe(bytes.length - 20);
      expect(decodeTurn(bytes)).toBeUndefined();
    }),
  );
});

test('whatever bytes come, the readers return, and say only what is there', () => {
  const mutated = (sample: Buffer) =>
    fc
      .array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const copy = Buffer.from(sample);
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    mutated(ALLOCATED),
    mutated(INDICATION),
    fc.nat(ALLOCATED.length).map((length) => ALLOCATED.subarray(0, length)),
  );
  fc.assert(
    fc.property(bytes, (data) => {
      const message = decodeTurn(data);
      if (message?.kind === 'data') expect(message.data.length).toBeLessThan(data.length);
      else if (message?.relayed) expect(canonicalIp(message.relayed.ip)).toBe(message.relayed.ip);
      const channel = decodeChannelData(data);
      if (channel !== undefined) expect(channel.data.length).toBeLessThanOrEqual(data.length - 4);
    }),
    { numRuns: 2_000 },
  );
});

test('ChannelData survives its codec, padded or not; a length that lies does not', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: MIN_CHANNEL, max: MAX_CHANNEL }),
      fc.uint8Array({ maxLength: 50 }),
      fc.nat(3),
      (channel, data, padding) => {
        const message = Buffer.concat([encodeChannelData(channel, data), Buffer.alloc(padding)]);
        expect(isChannelData(message)).toBe(true);
        expect(decodeChannelData(message)).toEqual({ channel, data: Buffer.from(data) });
        if (data.length > 0) expect(decodeChannelData(message.subarray(0, 3 + data.length))).toBeUndefined();
      },
    ),
  );
});
