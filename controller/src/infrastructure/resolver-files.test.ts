import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostsEntries, nameservers } from './resolver-files.ts';

test('name servers are those that resolv.conf(5) names, three at most, or the machine itself', () => {
  const text =
    '# nameserver 9.9.9.9\nsearch x\nnameserver 172.31.0.1\nnameserver\tfe80::1%eth0 \nnameserver x\n';
  expect(nameservers(text)).toEqual(['172.31.0.1', 'fe80::1']);
  expect(nameservers('nameserver 1.1.1.1\n'.repeat(5))).toHaveLength(3);
  expect(nameservers('')).toEqual(['127.0.0.1']);
});

test('hosts(5) is read by any of the names of a line, whatever their case', () => {
  const text = '10.0.0.1 hub.test HUB # 10.0.0.2 other\n::1 localhost\nx hub.test\n2001:db8::1\thub.test\n';
  expect(hostsEntries(text, 'Hub.Test.')).toEqual(['10.0.0.1', '2001:db8::1']);
  expect(hostsEntries(text, 'other')).toEqual([]);
});

test('no text makes a reader fail', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(nameservers(text).length).toBeGreaterThan(0);
      expect(() => hostsEntries(text, 'x')).not.toThrow();
    }),
  );
});
