import { expect, test } from 'vitest';
import { testUdpOffload } from './self-test.ts';

test('UDP_SEGMENT and UDP_GRO carry a pattern unchanged over loopback, and the answer is kept', () => {
  const first = testUdpOffload();
  // Linux has had both since 5.0, older than any kernel that node 20 runs on.
  expect(first).toEqual({ gso: true, gro: true });
  expect(testUdpOffload()).toBe(first);
});
