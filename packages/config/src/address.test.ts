import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatHostPort, parseHostPort, parseIp4, parseServer } from './address.ts';

test('takes a host address with its prefix', () => {
  expect(parseIp4('172.31.0.1/24')).toEqual({ address: '172.31.0.1', prefix_length: 24 });
  expect(parseIp4('10.0.0.2/30')).toEqual({ address: '10.0.0.2', prefix_length: 30 });
});

test.each([
  '172.31.0.1',
  '172.31.0.0/24',
  '172.31.0.255/24',
  '172.31.0.1/31',
  '10.0.0.1/7',
  '172.31.1/24',
  '172.31.0.1/24/1',
  '172.31.0.1/ 24',
  '0x7f.1.2.3/24',
  '224.0.0.5/24',
  '127.0.0.1/8',
  '256.0.0.1/24',
  'fd00::1/64',
  '',
])('refuses %j as a host address', (text) => {
  expect(parseIp4(text)).toBeUndefined();
});

test('takes an address exactly when it lies strictly inside its network', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 30 }), fc.nat(0xff_ffff), (prefix, low) => {
      const value = 10 * 2 ** 24 + low;
      const host = value % 2 ** (32 - prefix);
      const address = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
      const edge = host === 0 || host === 2 ** (32 - prefix) - 1;
      expect(parseIp4(`${address}/${prefix}`)).toEqual(edge ? undefined : { address, prefix_length: prefix });
    }),
  );
});

test.each([
  ['xmpp://hub.test', 'xmpp://hub.test:5222'],
  ['XMPPS://hub.test/', 'xmpps://hub.test:5223'],
  ['xmpp://[2001:db8::1]:15222', 'xmpp://[2001:db8::1]:15222'],
  ['wss://hub.test/ws', 'wss://hub.test:443/ws'],
  ['wss://hub.test:5443', 'wss://hub.test:5443'],
])('normalises the hub %s', (text, url) => {
  expect(parseServer(text)).toBe(url);
});

test.each([
  'hub.test',
  'http://hub.test',
  'ws://hub.test/ws',
  'xmpp://alice:secret@hub.test',
  'xmpp://hub.test/path',
  'xmpp://hub.test:0',
  'xmpp://hub.test:70000',
  'xmpp://hub test',
  'xmpp://',
  'wss://hub.test/ws?x=1',
])('refuses the hub %s', (text) => {
  expect(parseServer(text)).toBeUndefined();
});

test('what parseHostPort reads, formatHostPort writes so that it reads the same', () => {
  const host = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((address) => `[${address}]`),
  );
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
      const parsed = parseHostPort(`${name}:${port}`, 1);
      expect(parsed?.port).toBe(port);
      if (parsed !== undefined) expect(parseHostPort(formatHostPort(parsed), 1)).toEqual(parsed);
    }),
  );
});
