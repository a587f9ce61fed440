import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  canonicalIp,
  type DirectControl,
  decodeBindingResponse,
  decodeControl,
  encodeBindingRequest,
  encodeControl,
  ipFromBytes,
  ipToBytes,
  PROBE_BODY_BYTES,
  readDatagramHeader,
  readProbeBody,
  writeDatagramHeader,
  writeProbeBody,
} from './index.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const ip = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => canonicalIp(text) ?? '');

test('a datagram header survives its codec, up to the largest exact counter', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0xc0, max: 0xc3 }),
      u32,
      fc.nat(Number.MAX_SAFE_INTEGER),
      (type, index, counter) => {
        const bytes = new Uint8Array(32);
        writeDatagramHeader(bytes, type, index, counter);
        expect(readDatagramHeader(bytes)).toEqual({ type, index, counter });
        expect(readDatagramHeader(bytes.subarray(0, 31))).toBeUndefined();
      },
    ),
  );
});

test('a header with reserved bits or a counter beyond 2^53 is refused', () => {
  for (const at of [1, 2, 3, 8]) {
    const bytes = new Uint8Array(32);
    writeDatagramHeader(bytes, 0xc0, 1, 1);
    bytes[at] = 0xff;
    expect(readDatagramHeader(bytes)).toBeUndefined();
  }
});

test('a probe body survives its codec at any alignment', () => {
  fc.assert(
    fc.property(u32, u16, ip, u16, fc.boolean(), fc.nat(9), (id, bytes, address, port, isRelayed, shift) => {
      const memory = new Uint8Array(64).subarray(shift);
      writeProbeBody(memory, { id, bytes, ip: address, port, isRelayed });
      expect(readProbeBody(memory)).toEqual({ id, bytes, ip: address, port, isRelayed });
      expect(readProbeBody(memory.subarray(0, PROBE_BODY_BYTES - 1))).toBeUndefined();
    }),
  );
});

test('an address has one spelling, and bytes that give it back', () => {
  expect(canonicalIp('2001:DB8:0:0::1')).toBe('2001:db8::1');
  expect(canonicalIp('::ffff:192.0.2.1')).toBe('192.0.2.1');
  for (const bad of ['fe80::1%eth0', '0x7f.1', '1.2.3', '', 'localhost'])
    expect(canonicalIp(bad)).toBeUndefined();
  fc.assert(
    fc.property(ip, (text) => {
      expect(canonicalIp(text)).toBe(text);
      expect(ipFromBytes(ipToBytes(text))).toBe(text);
    }),
  );
});

// RFC 5769 §2.2 and §2.3, whole.
const RFC_5769_IPV4 =
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220' +
  '002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96';
const RFC_5769_IPV6 =
  '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220' +
  '002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c';
const TRANSACTION = 'b7e7a701bc34d686fa87dfae';

test("RFC 5769's sample responses are read, and a changed bit of transaction or address is noticed", () => {
  const four = Buffer.from(RFC_5769_IPV4, 'hex');
  expect(decodeBindingResponse(four)).toEqual({
    transaction: TRANSACTION,
    mapped: { ip: '192.0.2.1', port: 32_853 },
  });
  expect(decodeBindingResponse(Buffer.from(RFC_5769_IPV6, 'hex'))).toEqual({
    transaction: TRANSACTION,
    mapped: { ip: '2001:db8:1234:5678:11:2233:4455:6677', port: 32_853 },
  });
  // Transaction and mapped address: FINGERPRINT covers them. (A flip in an attribute's header may hide FINGERPRINT itself.)
  for (const at of [...Array(12).keys()].map((i) => 8 + i).concat([...Array(7).keys()].map((i) => 41 + i))) {
    for (let bit = 0; bit < 8; bit++) {
      const broken = Buffer.from(four);
      broken[at] = (broken[at] ?? 0) ^ (1 << bit);
      expect(decodeBindingResponse(broken)).toBeUndefined();
    }
  }
});

test('a Binding request is what RFC 8489 says, and no response', () => {
  const request = encodeBindingRequest(Buffer.from(TRANSACTION, 'hex'));
  expect(Buffer.from(request.subarray(0, 20)).toString('hex')).toBe(`000100082112a442${TRANSACTION}`);
  expect(Buffer.from(request.subarray(20, 24)).toString('hex')).toBe('80280004');
  expect(decodeBindingResponse(request)).toBeUndefined();
});

test('whatever bytes come, the readers of datagrams return', () => {
  const response = [...Buffer.from(RFC_5769_IPV4, 'hex')];
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.tuple(fc.nat(response.length - 1), fc.nat(255)).map(([at, value]) => {
      return Uint8Array.from(response.map((byte, i) => (i === at ? value : byte)));
    }),
    fc.nat(response.length).map((length) => Uint8Array.from(response.slice(0, length))),
  );
  fc.assert(
    fc.property(bytes, (data) => {
      const answer = decodeBindingResponse(data);
      if (answer?.mapped) expect(canonicalIp(answer.mapped.ip)).toBe(answer.mapped.ip);
      readDatagramHeader(data);
      readProbeBody(data);
    }),
  );
});

const key = 'A'.repeat(43);

test('messages of the direct carrier survive the control codec', () => {
  const messages: DirectControl[] = [
    { t: 'direct_offer', epoch: 1, index: 0xffff_ffff, key, plain: false, aes: true },
    { t: 'direct_answer', epoch: 1, key, plain: true, aes: false },
    { t: 'direct_ready', epoch: 1 },
    { t: 'direct_using', epoch: 1 },
    {
      t: 'direct_candidates',
      list: [
        { ip: '192.0.2.1', port: 1, kind: 'host' },
        { ip: '2001:db8::1', port: 65_535, kind: 'mapped' },
      ],
    },
  ];
  for (const message of messages) expect(decodeControl(encodeControl(message))).toEqual(message);
});

test.each([
  ['epoch', { epoch: 0 }],
  ['index', { index: 0 }],
  ['index', { index: 2 ** 32 }],
  ['key', { key: 'short' }],
  ['plain', { plain: 'yes' }],
])('an offer with a bad %s is refused by name', (field, change) => {
  const offer = { t: 'direct_offer', epoch: 1, index: 1, key, plain: false, aes: true, ...change };
  expect(() => decodeControl(JSON.stringify(offer))).toThrow(
    expect.objectContaining({ fault: 'peer', field }),
  );
});

test.each(['10.0.0.256', '2001:DB8::1', '::ffff:10.0.0.1', 'fe80::1%lo', 'host.example'])(
  'the candidate %s is refused',
  (address) => {
    const text = JSON.stringify({ t: 'direct_candidates', list: [{ ip: address, port: 1, kind: 'host' }] });
    expect(() => decodeControl(text)).toThrow(expect.objectContaining({ field: 'list.0.ip' }));
  },
);
