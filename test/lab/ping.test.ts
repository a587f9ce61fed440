import { expect, test } from 'vitest';
import { parsePing } from './ping.ts';

const ANSWERED = `PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.

--- 127.0.0.1 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 111ms
rtt min/avg/max/mdev = 0.008/0.064/0.175/0.078 ms
`;

test('reads counts and round-trip times', () => {
  expect(parsePing(ANSWERED)).toEqual({
    sent: 3,
    received: 3,
    rtt: { min: 0.008, avg: 0.064, max: 0.175, mdev: 0.078 },
  });
});

test('reads a summary with late replies and errors in it', () => {
  const output = `5 packets transmitted, 2 received, +3 errors, 60% packet loss, time 4077ms
rtt min/avg/max/mdev = 1003.1/1500.25/2007.4/502.1 ms, pipe 3\n`;
  expect(parsePing(output)).toMatchObject({ sent: 5, received: 2, rtt: { avg: 1500.25 } });
});

test('knows no times when nothing was answered', () => {
  expect(parsePing('3 packets transmitted, 0 received, 100% packet loss, time 2032ms\n\n')).toEqual({
    sent: 3,
    received: 0,
    rtt: null,
  });
});

test('says what ping printed instead of a summary', () => {
  expect(() => parsePing('ping: connect: Network is unreachable\n')).toThrow('Network is unreachable');
  expect(() => parsePing('')).toThrow('no output');
});
