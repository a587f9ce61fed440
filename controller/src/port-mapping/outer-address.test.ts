import { expect, test } from 'vitest';
import { whyUseless } from './outer-address.ts';

test('a private outer address means another NAT, and is told so in words', () => {
  for (const ip of ['10.1.2.3', '100.64.0.2', '172.31.0.1', '192.168.178.1', '169.254.1.1', '127.0.0.1'])
    expect(whyUseless(ip, 4_000)).toBe(
      `the router's own outer address ${ip} is private: another NAT is in front of it`,
    );
});

test('what is no address or port is of no use either, an address of the internet is', () => {
  for (const ip of ['', '::1', 'x']) expect(whyUseless(ip, 4_000)).toBe('the router names no usable address');
  expect(whyUseless('198.51.100.7', 0)).toBe('the router names no usable address');
  expect(whyUseless('224.0.0.1', 4_000)).not.toBeNull();
  expect(whyUseless('198.51.100.7', 4_000)).toBeNull();
});
