import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createLogger } from '@kith/base';
import type { Endpoint } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TincanLines } from './tincan-lines.ts';

let tincan: Socket;
let lines: TincanLines;
let received: [number, string][];
let notified: string[];
let wake: () => void = () => {};

beforeEach(async () => {
  [received, notified] = [[], []];
  tincan = createSocket('udp4');
  tincan.bind(0, '127.0.0.1');
  await once(tincan, 'listening');
  lines = await TincanLines.open(
    tincan.address().port,
    ({ port }, datagram) => {
      received.push([port, datagram.toString()]);
      wake();
    },
    (datagram) => {
      notified.push(datagram.toString());
      wake();
    },
    createLogger('lines', 'silent'),
  );
});
afterEach(() => {
  lines.close();
  tincan.close();
});

const client = (port: number): Endpoint => ({ address: '127.0.0.1', port, form: 2 });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

test('what tincan answers comes back as the answer to the caller who asked, and notifications apart', async () => {
  tincan.on('message', (datagram: Buffer, { port }: RemoteInfo) => {
    tincan.send(`re: ${datagram}`, port, '127.0.0.1');
  });
  lines.send(client(1), Buffer.from('one'));
  lines.send(client(2), Buffer.from('two'));
  lines.send(client(1), Buffer.from('three'));
  tincan.send('news', lines.notificationPort, '127.0.0.1');
  await until(() => received.length === 3 && notified.length === 1);
  expect(received.toSorted()).toEqual([
    [1, 're: one'],
    [1, 're: three'],
    [2, 're: two'],
  ]);
  expect(notified).toEqual(['news']);
});

test('what does not come from tincan is dropped and counted', async () => {
  const stranger = createSocket('udp4');
  stranger.bind(0, '127.0.0.1');
  await once(stranger, 'listening');
  stranger.send('forged', lines.notificationPort, '127.0.0.1');
  stranger.send('forged', lines.notificationPort, '127.0.0.1', () => {
    tincan.send('true', lines.notificationPort, '127.0.0.1');
  });
  await until(() => notified.length === 1);
  expect(notified).toEqual(['true']);
  expect(lines.counters.gateway_dropped_strange).toBe(2);
  stranger.close();
});

test('of more than 64 callers the one that was silent longest gives way', async () => {
  const ports: number[] = [];
  tincan.on('message', (datagram: Buffer, { port }: RemoteInfo) => {
    if (datagram.toString() === 'first') ports.push(port);
    tincan.send(datagram, port, '127.0.0.1');
  });
  lines.send(client(1), Buffer.from('first'));
  for (let port = 2; port <= 64; port++) lines.send(client(port), Buffer.from('x'));
  await until(() => received.length === 64);
  lines.send(client(1), Buffer.from('first'));
  lines.send(client(65), Buffer.from('x'));
  lines.send(client(1), Buffer.from('first'));
  await until(() => received.length === 67);
  expect(lines.counters.gateway_lines_dropped).toBe(1);
  expect(new Set(ports).size).toBe(1);
});
