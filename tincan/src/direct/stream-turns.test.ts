import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { createLogger } from '@kith/base';
import type { IceServer } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endpointText } from '../endpoint.ts';
import { FakeTurnServer } from '../relay/fake-turn-server.test.helper.ts';
import { StreamRelays } from '../relay/stream-relays.ts';
import type { TurnServer } from './relays.ts';
import { StreamTurns } from './stream-turns.ts';

const ALLOCATE = Buffer.from('000300002112a4420102030405060708090a0b0c', 'hex');
/** Allocate success with XOR-RELAYED-ADDRESS 198.51.100.1:3478 and no more. */
const ALLOCATED = Buffer.from('0103000c2112a4420102030405060708090a0b0c0016000800012c84e721c043', 'hex');

let server: FakeTurnServer;
let streams: StreamRelays;
let lost: string[];
let turns: StreamTurns;
const sockets: Socket[] = [];

beforeEach(async () => {
  server = await FakeTurnServer.listen();
  server.answer = (message) => (message[1] === 3 ? ALLOCATED : message);
  const clock = (): number => performance.now();
  streams = new StreamRelays({ ca: undefined, log: createLogger('test', 'silent'), clock });
  lost = [];
  turns = new StreamTurns(streams, { lost: (endpoint) => void lost.push(endpointText(endpoint)) });
});

afterEach(async () => {
  turns.close();
  for (const socket of sockets.splice(0)) socket.close();
  await server.close();
});

const byTcp = (username: string, port = server.port): IceServer => ({
  ...{ type: 'turn', host: '127.0.0.1', port, transport: 'tcp', username, password: 'p' },
});

function use(link: number, list: readonly IceServer[]): Promise<TurnServer> {
  return new Promise((resolve) => turns.use(link, list, resolve));
}

async function client(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  sockets.push(socket);
  return socket;
}

async function ask(socket: Socket, { port }: TurnServer, datagram: Uint8Array): Promise<Buffer> {
  const answered = once(socket, 'message');
  socket.send(datagram, port, '127.0.0.1');
  const [answer] = await answered;
  return Buffer.from(answer);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test('links that name the same servers share one socket, each with the credentials of its own list', async () => {
  const one = await use(1, [byTcp('first')]);
  const two = await use(2, [byTcp('second')]);
  expect(one).toMatchObject({ ip: '127.0.0.1', username: 'first', isStream: true });
  expect(two).toEqual({ ...one, username: 'second' });
});

test('servers by UDP alone are none of its business', () => {
  turns.use(1, [{ type: 'turn', host: '127.0.0.1', port: 1, username: 'u', password: 'p' }], () =>
    expect.unreachable(),
  );
});

test('the server has the name of what answers, and until then of all that may', async () => {
  const stand = await use(1, [byTcp('u'), byTcp('u', 9)]);
  expect(turns.nameOf(stand)).toBe(`tcp 127.0.0.1:${server.port}, tcp 127.0.0.1:9`);
  expect(await ask(await client(), stand, ALLOCATE)).toEqual(ALLOCATED);
  expect(turns.nameOf(stand)).toBe(`tcp 127.0.0.1:${server.port}`);
  expect(turns.nameOf({ ip: '203.0.113.1', port: 3478 })).toBeUndefined();
});

test('that the stream broke is told, and why none could be opened is known', async () => {
  const stand = await use(1, [byTcp('u')]);
  const socket = await client();
  await ask(socket, stand, ALLOCATE);
  const { port } = server;
  server.breakAll();
  await until(() => lost.length === 1);
  expect(lost).toEqual([endpointText(stand)]);
  await server.close();
  // RFC 8656 §19.4: refused for want of capacity.
  expect((await ask(socket, stand, ALLOCATE)).readUInt16BE(0)).toBe(0x0113);
  expect(turns.whyNot(stand)).toContain(`tcp 127.0.0.1:${port}: `);
  server = await FakeTurnServer.listen();
});

test('the socket goes with the last link that named it, also when that leaves before it is there', async () => {
  const stand = await use(1, [byTcp('u')]);
  await use(2, [byTcp('u')]);
  turns.removeLink(1);
  expect(turns.nameOf(stand)).toBeDefined();
  turns.removeLink(2);
  expect(turns.nameOf(stand)).toBeUndefined();
  turns.use(3, [byTcp('u')], () => expect.unreachable());
  turns.removeLink(3);
  const next = await use(4, [byTcp('u')]);
  expect(turns.nameOf(next)).toBeDefined();
});

test('there are never more than two groups', async () => {
  for (const port of [11, 12]) await use(1, [byTcp('u', port)]);
  turns.use(1, [byTcp('u', 13)], () => expect.unreachable());
  await use(1, [byTcp('u', 12)]);
  turns.removeLink(1);
  await use(1, [byTcp('u', 13)]);
});
