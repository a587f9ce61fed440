import { canonicalIp, MAX_DIRECT_CANDIDATES } from '@kith/protocol';
import { expect, test } from 'vitest';
import {
  type CandidateRules,
  carryingAddresses,
  directCandidates,
  isUsableIp,
  readLocalAddresses,
} from './local-addresses.ts';

const rules: CandidateRules = {
  ownInterface: 'kith0',
  port: 5801,
  family: 'dual',
  isOverlay: (ip) => ip.startsWith('172.31.'),
};
const at = (name: string, ip: string) => ({ interface: name, ip, mtu: 1500 });

test('overlay, loopback, link-local IPv6 and the TAP of any network are not offered', () => {
  const all = [
    at('eth0', '192.0.2.1'),
    at('eth0', '2001:db8::1'),
    at('eth0', 'fd00::1'),
    at('eth0', 'fe80::1'),
    at('lo', '127.0.0.1'),
    at('kith0', '10.9.9.1'),
    at('kith-other', '10.8.8.1'),
    at('br0', '172.31.0.1'),
  ];
  const ips = (family: 4 | 6 | 'dual') => carryingAddresses(all, { ...rules, family }).map(({ ip }) => ip);
  expect(ips('dual')).toEqual(['192.0.2.1', '2001:db8::1', 'fd00::1']);
  expect(ips(4)).toEqual(['192.0.2.1']);
});

test('a mapped address is offered once and only where it differs from the interface', () => {
  const mapped = [
    { ip: '198.51.100.1', port: 7000 },
    { ip: '192.0.2.1', port: 5801 },
    { ip: '172.31.0.9', port: 1 },
  ];
  expect(directCandidates([at('eth0', '192.0.2.1')], mapped, rules)).toEqual([
    { ip: '198.51.100.1', port: 7000, kind: 'mapped' },
    { ip: '192.0.2.1', port: 5801, kind: 'host' },
  ]);
});

test('a machine with hundreds of addresses offers as many as fit', () => {
  const many = Array.from({ length: 300 }, (_, i) => at('eth0', `10.0.${i >> 8}.${i & 255}`));
  expect(directCandidates(many, [], rules).length).toBe(MAX_DIRECT_CANDIDATES);
});

test.each(['0.0.0.0', '127.9.9.9', '224.0.0.1', '255.255.255.255', '::', '::1', 'ff02::1', 'fe80::1'])(
  '%s is never probed',
  (ip) => {
    expect(isUsableIp(ip)).toBe(false);
  },
);

test("this machine's own addresses can be read", () => {
  for (const { ip } of readLocalAddresses()) expect(canonicalIp(ip)).toBe(ip);
});
