import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodePortControl,
  encodePcpMap,
  encodePmpAddress,
  encodePmpMap,
  MAX_PORT_CONTROL_BYTES,
} from './port-control.ts';

const NONCE = Uint8Array.from({ length: 12 }, (_, i) => i + 1);
const REQUEST = { internalPort: 0x1234, externalPort: 0x5678, lifetimeS: 3_600 };
const port = fc.integer({ min: 1, max: 0xffff });

/** What RFC 6887 §7.2 says that a server makes of a request: it turns it round and fills in what it gave. */
function pcpAnswer(request: Uint8Array, result: number, ip: string, externalPort: number): Buffer {
  const answer = Buffer.from(request);
  answer[1] = 0x81;
  answer[3] = result;
  answer.fill(0, 8, 24);
  answer.writeUInt16BE(externalPort, 42);
  answer.set(
    Buffer.from(`00000000000000000000ffff${Buffer.from(ip.split('.').map(Number)).toString('hex')}`, 'hex'),
    44,
  );
  return answer;
}

test('a PCP request is what RFC 6887 §7.1 and §11.1 draw', () => {
  expect(Buffer.from(encodePcpMap(REQUEST, '192.168.1.7', NONCE)).toString('hex')).toBe(
    [
      '02010000' + '00000e10' + '00000000000000000000ffffc0a80107',
      '0102030405060708090a0b0c' + '11000000' + '12345678' + '00000000000000000000ffff00000000',
    ].join(''),
  );
});

test("NAT-PMP's requests are what RFC 6886 §3.2 and §3.3 draw; taking back asks for no port", () => {
  expect(Buffer.from(encodePmpAddress()).toString('hex')).toBe('0000');
  expect(Buffer.from(encodePmpMap(REQUEST)).toString('hex')).toBe('000100001234567800000e10');
  expect(Buffer.from(encodePmpMap({ ...REQUEST, lifetimeS: 0 })).toString('hex')).toBe(
    '000100001234000000000000',
  );
});

test('what a PCP server gives is read, with the nonce that proves whose it is', () => {
  fc.assert(
    fc.property(
      port,
      port,
      fc.ipV4(),
      fc.integer({ min: 0, max: 255 }),
      (internalPort, externalPort, ip, result) => {
        const request = encodePcpMap({ internalPort, externalPort: 1, lifetimeS: 99 }, '10.0.0.1', NONCE);
        expect(decodePortControl(pcpAnswer(request, result, ip, externalPort))).toEqual({
          ...{ is: 'pcp-map', result, nonce: '0102030405060708090a0b0c', internalPort, externalPort },
          ...{ externalIp: ip, lifetimeS: 99 },
        });
      },
    ),
  );
});

test("NAT-PMP's answers are read, and its refusal of what it does not know", () => {
  const hex = (text: string) => decodePortControl(Buffer.from(text, 'hex'));
  expect(hex('0080000000000001cb007105')).toEqual({
    is: 'pmp-address',
    result: 0,
    externalIp: '203.0.113.5',
  });
  expect(hex('0081000000000001123456780000012c')).toEqual({
    ...{ is: 'pmp-map', result: 0, internalPort: 0x1234, externalPort: 0x5678, lifetimeS: 300 },
  });
  // To a PCP request (RFC 6887 §9).
  expect(hex('0081000100000001')).toEqual({ is: 'refusal', version: 'pmp', result: 1 });
  expect(hex('0081000000000001')).toBeUndefined();
});

test('our own requests are no answers', () => {
  expect(decodePortControl(encodePcpMap(REQUEST, '10.0.0.1', NONCE))).toBeUndefined();
  expect(decodePortControl(encodePmpMap(REQUEST))).toBeUndefined();
});

test('any bytes at all are read or left, never an error', () => {
  const likely = fc
    .tuple(fc.constantFrom(0, 2), fc.constantFrom(0x80, 0x81, 0x82), fc.uint8Array({ maxLength: 80 }))
    .map(([version, code, rest]) => Uint8Array.of(version, code, ...rest));
  fc.assert(
    fc.property(fc.oneof(likely, fc.uint8Array({ maxLength: MAX_PORT_CONTROL_BYTES + 9 })), (data) => {
      const reply = decodePortControl(data);
      if (data.length < 8 || data.length > MAX_PORT_CONTROL_BYTES) expect(reply).toBeUndefined();
      if (reply !== undefined) expect((data[1] ?? 0) & 0x80).toBe(0x80);
    }),
    { numRuns: 2_000 },
  );
});
