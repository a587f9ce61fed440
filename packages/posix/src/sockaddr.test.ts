import { isIPv6 } from 'node:net';
import { KithError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeSockaddr, encodeSockaddr, SOCKADDR_BYTES, sameSockaddr } from './index.ts';
import { formatIp6, parseIp4, parseIp6 } from './ip-text.ts';

const ip6Bytes = fc.uint8Array({ minLength: 16, maxLength: 16 }).chain((bytes) =>
  // Runs of zeros are what makes the text form hard, so random addresses get many.
  fc
    .uint8Array({ minLength: 16, maxLength: 16, max: 2 })
    .map((mask) => bytes.map((byte, i) => (mask[i] === 0 ? byte : 0))),
);
const port = fc.nat({ max: 65535 });

function encoded(family: 'dual' | 4, ip: string, portNumber: number): { view: Uint8Array; length: number } {
  const view = new Uint8Array(SOCKADDR_BYTES).fill(0xaa);
  return { view, length: encodeSockaddr(family, ip, portNumber, view) };
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof KithError ? error.code : `not ours: ${String(error)}`;
  }
  return 'no error';
}

test('IPv6 text is what the URL standard, which follows RFC 5952 there, makes of it', () => {
  fc.assert(
    fc.property(ip6Bytes, (bytes) => {
      const full = Array.from({ length: 8 }, (_, i) =>
        (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
      ).join(':');
      expect(formatIp6(bytes)).toBe(new URL(`http://[${full}]`).hostname.slice(1, -1));
    }),
  );
});

test('every spelling of an IPv6 address means the same bytes', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const bytes = parseIp6(text);
      expect(bytes === null).toBe(!isIPv6(text));
      if (bytes !== null) expect(formatIp6(bytes)).toBe(new URL(`http://[${text}]`).hostname.slice(1, -1));
    }),
  );
  expect(formatIp6(parseIp6('::') ?? new Uint8Array(16).fill(1))).toBe('::');
  expect(formatIp6(parseIp6('1::') ?? new Uint8Array(16))).toBe('1::');
  expect(formatIp6(parseIp6('::ffff:192.0.2.1') ?? new Uint8Array(16))).toBe('::ffff:c000:201');
});

test('text that is no address has no bytes', () => {
  for (const text of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '::1'])
    expect(parseIp4(text)).toBeNull();
  for (const text of ['', ':', ':::', '1::2::3', '12345::', '1.2.3.4', 'fe80::1%eth0', 'g::']) {
    expect(parseIp6(text)).toBeNull();
  }
});

test('an IPv4 address survives both families', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, fc.constantFrom<'dual' | 4>('dual', 4), (ip, portNumber, family) => {
      const { view, length } = encoded(family, ip, portNumber);
      expect(length).toBe(family === 4 ? 16 : 28);
      expect(decodeSockaddr(view)).toEqual({ ip, port: portNumber });
    }),
  );
});

test('an IPv6 address with or without a zone survives a dual socket', () => {
  fc.assert(
    fc.property(ip6Bytes, port, fc.nat({ max: 0xffff_ffff }), (bytes, portNumber, scope) => {
      const text = scope === 0 ? formatIp6(bytes) : `${formatIp6(bytes)}%${scope}`;
      const { view, length } = encoded('dual', text, portNumber);
      expect(length).toBe(28);
      const decoded = decodeSockaddr(view);
      expect(decoded.port).toBe(portNumber);
      if (decoded.ip.includes(':')) expect(decoded.ip).toBe(text);
    }),
  );
});

test('a v4-mapped address is shown as IPv4 and reaches an IPv4 socket', () => {
  expect(decodeSockaddr(encoded('dual', '::ffff:192.0.2.9', 7).view)).toEqual({ ip: '192.0.2.9', port: 7 });
  expect(decodeSockaddr(encoded(4, '::ffff:192.0.2.9', 7).view)).toEqual({ ip: '192.0.2.9', port: 7 });
});

test('an IPv4 socket refuses IPv6, and rubbish is refused everywhere', () => {
  expect(codeOf(() => encoded(4, '2001:db8::1', 1))).toBe('EAFNOSUPPORT');
  for (const ip of ['', 'host', '1.2.3.4%2', 'fe80::1%', 'fe80::1%eth0', 'fe80::1%4294967296', 'fe80::1%0']) {
    expect(
      codeOf(() => encoded('dual', ip, 1)),
      ip,
    ).toBe('SOCKET_ADDRESS');
  }
  for (const bad of [-1, 65536, 1.5, Number.NaN]) {
    expect(codeOf(() => encoded('dual', '::1', bad))).toBe('SOCKET_ADDRESS');
  }
  expect(codeOf(() => decodeSockaddr(new Uint8Array(28)))).toBe('EAFNOSUPPORT');
});

test('two sockaddrs are the same exactly when they decode to the same', () => {
  const ip = fc.oneof(
    fc.constantFrom('10.0.0.1', '10.0.0.2', '::1', 'fe80::1%2', 'fe80::1%3', '::ffff:10.0.0.1'),
  );
  const few = fc.constantFrom(1, 256, 257);
  fc.assert(
    fc.property(ip, few, ip, few, (ipA, portA, ipB, portB) => {
      const one = encoded('dual', ipA, portA).view;
      const other = encoded('dual', ipB, portB).view;
      const same = JSON.stringify(decodeSockaddr(one)) === JSON.stringify(decodeSockaddr(other));
      expect(sameSockaddr(one, other)).toBe(same);
    }),
  );
});

test('flow labels and unused bytes do not make peers differ', () => {
  const one = encoded('dual', '2001:db8::1', 5).view;
  const other = Uint8Array.from(one);
  other[5] = 0x77;
  expect(sameSockaddr(one, other)).toBe(true);
  const four = encoded(4, '192.0.2.1', 5).view;
  const stale = Uint8Array.from(four);
  stale.fill(0x33, 8);
  expect(sameSockaddr(four, stale)).toBe(true);
  expect(sameSockaddr(four, encoded('dual', '192.0.2.1', 5).view)).toBe(false);
});
