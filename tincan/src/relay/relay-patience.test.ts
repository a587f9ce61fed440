import { UDP_CLASSES } from '@kith/protocol';
import { expect, test } from 'vitest';
import { RelayPatience } from './relay-patience.ts';

test('only a machine that can be reached, and whose other family is not known to be bad, waits for a direct link first', () => {
  const patience = new RelayPatience();
  expect(patience.of(undefined, 1)).toEqual({ ms: 0, isKnown: true });
  const good = new Set(['open', 'same']);
  const harmless = new Set(['open', 'same', 'none', 'unknown']);
  for (const ip4 of UDP_CLASSES) {
    for (const ip6 of UDP_CLASSES) {
      const waits = (good.has(ip4) || good.has(ip6)) && harmless.has(ip4) && harmless.has(ip6);
      const isUnknown =
        ['unknown', 'none'].includes(ip4) &&
        ['unknown', 'none'].includes(ip6) &&
        [ip4, ip6].includes('unknown');
      const { ms, isKnown } = patience.of({ v: 1, ip4, ip6 }, 1);
      expect(ms, `${ip4} and ${ip6}`).toBe(waits ? 400 : isUnknown ? 150 : 0);
      expect(isKnown).toBe(!isUnknown);
    }
  }
});

test('where links take long to come up it waits longer, six seconds at most', () => {
  const patience = new RelayPatience();
  const wait = () => patience.of({ v: 1, ip4: 'same', ip6: 'none' }, 1).ms;
  patience.cameUp(900);
  expect(wait()).toBe(1_800);
  for (let count = 0; count < 40; count++) patience.cameUp(150);
  expect(wait()).toBe(400);
  for (let count = 0; count < 20; count++) patience.cameUp(600);
  expect(wait()).toBe(1_200);
  for (let count = 0; count < 50; count++) patience.cameUp(9_000);
  expect(wait()).toBe(6_000);
});

test('one slow link is enough to wait longer for the next, one quick link is not enough to forget it', () => {
  const patience = new RelayPatience();
  const wait = () => patience.of({ v: 1, ip4: 'same', ip6: 'none' }, 1).ms;
  for (let count = 0; count < 40; count++) patience.cameUp(150);
  patience.cameUp(2_000);
  expect(wait()).toBe(4_000);
  patience.cameUp(150);
  expect(wait()).toBeGreaterThan(600);
  expect(wait()).toBeLessThan(800);
});

test('a busy machine waits longer, a little while its own network is not known, and not at all where that is known to be bad', () => {
  const patience = new RelayPatience();
  expect(patience.of({ v: 1, ip4: 'same', ip6: 'none' }, 10).ms).toBe(4_000);
  expect(patience.of({ v: 1, ip4: 'same', ip6: 'none' }, 15).ms).toBe(6_000);
  expect(patience.of({ v: 1, ip4: 'unknown', ip6: 'none' }, 3).ms).toBe(450);
  expect(patience.of({ v: 1, ip4: 'unknown', ip6: 'none' }, 10).ms).toBe(500);
  for (const ip4 of ['silent', 'nat', 'per-destination'] as const) {
    expect(patience.of({ v: 1, ip4, ip6: 'none' }, 10).ms).toBe(0);
  }
});

test('the successor of a link that is in use waits for nothing, however busy the machine', () => {
  const patience = new RelayPatience();
  patience.cameUp(9_000);
  for (const ip4 of UDP_CLASSES) {
    expect(patience.of({ v: 1, ip4, ip6: 'none' }, 15, true)).toEqual({ ms: 0, isKnown: true });
  }
});
