import { expect, test } from 'vitest';
import { isInOverlay } from './overlay-range.ts';

const NONE = { ip4: null, prefixLength: 32, ip6: null, prefixLength6: 128 };

test("an address within the network's own IPv4 range is known as such", () => {
  const overlay = { ...NONE, ip4: '172.31.5.1', prefixLength: 16 };
  expect(isInOverlay('172.31.200.9', overlay)).toBe(true);
  expect(isInOverlay('172.30.0.1', overlay)).toBe(false);
  expect(isInOverlay('2001:db8::1', overlay)).toBe(false);
});

test('so is one in its IPv6 prefix, and nothing where it has no addresses', () => {
  const overlay = { ...NONE, ip6: 'fd12:3456:789a:1::1', prefixLength6: 64 };
  expect(isInOverlay('fd12:3456:789a:1:aaaa::9', overlay)).toBe(true);
  expect(isInOverlay('fd12:3456:789a:2::1', overlay)).toBe(false);
  expect(isInOverlay('10.0.0.1', overlay)).toBe(false);
  expect(isInOverlay('10.0.0.1', NONE)).toBe(false);
});
