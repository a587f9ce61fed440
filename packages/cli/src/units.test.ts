import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, formatDuration, formatRtt } from './units.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [102_400, '100 KiB'],
  [1_048_575, '1.0 MiB'],
  [1_572_864, '1.5 MiB'],
  [2 ** 40 * 3, '3.0 TiB'],
  [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('bytes need at most four figures', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(formatBytes(bytes)).toMatch(/^(\d{1,4}|\d{1,2}\.\d) ([KMGTP]i)?B$/);
    }),
  );
});

test.each([
  [0.2449, '0.24 ms'],
  [0.999, '1.0 ms'],
  [3.14, '3.1 ms'],
  [9.96, '10 ms'],
  [128.4, '128 ms'],
])('a round trip of %d ms is %s', (ms, text) => {
  expect(formatRtt(ms)).toBe(text);
});

test.each([
  [0, '0 s'],
  [59_999, '59 s'],
  [185_000, '3 min 5 s'],
  [7_200_000, '2 h 0 min'],
  [370_800_000, '4 d 7 h'],
])('%d ms are %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
