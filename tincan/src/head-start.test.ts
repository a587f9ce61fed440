import { expect, test } from 'vitest';
import { clientGoesFirst, type EndAddresses } from './head-start.ts';

const behind = (nat: string, ...more: string[]): EndAddresses => ({
  hosts: ['192.168.1.2', ...more],
  mapped: [nat],
});
const open = (ip: string, ...more: string[]): EndAddresses => ({ hosts: [ip, ...more], mapped: [ip] });

test('a DTLS client behind a NAT opens it for the server, whatever the server is behind', () => {
  expect(clientGoesFirst(behind('203.0.113.1'), behind('203.0.113.2'))).toBe(true);
  expect(clientGoesFirst(behind('203.0.113.1'), open('203.0.113.2'))).toBe(true);
});

test('one that can be reached leaves the first check to the server', () => {
  expect(clientGoesFirst(open('203.0.113.1'), behind('203.0.113.2'))).toBe(false);
  expect(clientGoesFirst(open('203.0.113.1'), open('203.0.113.2'))).toBe(false);
  expect(clientGoesFirst({ hosts: ['192.168.1.2'], mapped: [] }, open('203.0.113.2'))).toBe(false);
});

test('so does one behind the same NAT as the server, and one that has global IPv6 as the server has', () => {
  expect(clientGoesFirst(behind('203.0.113.1'), behind('203.0.113.1'))).toBe(false);
  const [client, server] = [behind('203.0.113.1', '2001:db8::1'), behind('203.0.113.2', '2001:db8::2')];
  expect(clientGoesFirst(client, server)).toBe(false);
  expect(clientGoesFirst(client, behind('203.0.113.2', 'fd00::2', 'fe80::2'))).toBe(true);
});
