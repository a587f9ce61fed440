import { SystemError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTcpRun } from './iperf3.ts';

test('reads what arrived, for how long and what was sent twice', () => {
  const end = {
    sum_sent: { seconds: 5.0001, bits_per_second: 201e6, retransmits: 8 },
    sum_received: { seconds: 5.03, bits_per_second: 199.5e6 },
  };
  expect(parseTcpRun(JSON.stringify({ start: {}, intervals: [], end }))).toEqual({
    mbps: 199.5,
    seconds: 5.03,
    retransmits: 8,
  });
});

test('passes on what iperf3 complains of', () => {
  const output = '{"start":{},"end":{},"error":"unable to connect to server: Connection refused"}';
  expect(() => parseTcpRun(output)).toThrow('unable to connect to server: Connection refused');
});

test('names the figure that is missing', () => {
  expect(() => parseTcpRun('{"end":{"sum_received":{}}}')).toThrow('bits_per_second');
  expect(() => parseTcpRun('')).toThrow('no output');
});

test('fails with its own error and no other, whatever it is given', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (output) => {
      expect(() => parseTcpRun(output)).toThrow(SystemError);
    }),
  );
});
