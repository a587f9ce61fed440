import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { FakeTurnServer } from './fake-turn-server.test.helper.ts';
import { isOwnUdpPort } from './own-socket.ts';
import type { StreamServer } from './stream-connection.ts';
import { StreamRelay, type StreamRelayOptions } from './stream-relay.ts';
import { selfSigned } from './test-certificate.test.helper.ts';

const TRANSACTION = '2112a4420102030405060708090a0b0c';
const ALLOCATE = Buffer.from(`00030000${TRANSACTION}`, 'hex');
/** Allocate success with XOR-RELAYED-ADDRESS 198.51.100.1:3478 and no more. */
const ALLOCATED = Buffer.from(`0103000c${TRANSACTION}0016000800012c84e721c043`, 'hex');
const CHANNEL_DATA = Buffer.from('400000050102030405', 'hex');

const open: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function counters(): StreamRelayOptions['counters'] {
  return {
    turn_streams_opened: 0,
    turn_streams_failed: 0,
    turn_streams_lost: 0,
    dropped_turn_congested: 0,
    dropped_turn_malformed: 0,
    dropped_turn_stranger: 0,
    dropped_turn_unconnected: 0,
  };
}

async function fakeServer(tls?: { cert: string; key: string }): Promise<FakeTurnServer> {
  const server = await FakeTurnServer.listen(tls);
  open.push(server);
  server.answer = (message) => (message[1] === 3 ? ALLOCATED : message);
  return server;
}

async function relayTo(servers: readonly StreamServer[], more: Partial<StreamRelayOptions> = {}) {
  const events = { allocated: [] as string[], unreachable: [] as string[], lost: [] as string[] };
  const options: StreamRelayOptions = {
    servers,
    graceMs: () => 0,
    trusted: () => createSecureContext(),
    isOurs: isOwnUdpPort,
    clock: () => performance.now(),
    counters: counters(),
    ...more,
  };
  const relay = await StreamRelay.open(options, {
    allocated: ({ port }) => events.allocated.push(`${port}`),
    unreachable: (reason) => events.unreachable.push(reason),
    lost: (reason) => events.lost.push(reason),
  });
  open.push(relay);
  return { relay, events, counters: options.counters };
}

async function client(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  open.push(socket);
  return socket;
}

async function ask(socket: Socket, relay: StreamRelay, datagram: Uint8Array): Promise<Buffer> {
  const answered = once(socket, 'message');
  socket.send(datagram, relay.endpoint.port, '127.0.0.1');
  const [answer] = await answered;
  return Buffer.from(answer);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

const tcp = (port: number): StreamServer => ({ host: '127.0.0.1', port, transport: 'tcp' });

test('an allocation and its data pass over TCP, padding added and taken away', async () => {
  const server = await fakeServer();
  const { relay, events } = await relayTo([tcp(server.port)]);
  const socket = await client();
  expect(await ask(socket, relay, ALLOCATE)).toEqual(ALLOCATED);
  expect(await ask(socket, relay, CHANNEL_DATA)).toEqual(CHANNEL_DATA);
  expect(server.received).toEqual([ALLOCATE, CHANNEL_DATA]);
  expect(events.allocated).toEqual([`${server.port}`]);
  expect(relay.inUse).toEqual(tcp(server.port));
});

test('over TLS the certificate must be good for the name, and be vouched for', async () => {
  const good = await selfSigned('127.0.0.1');
  const server = await fakeServer(good);
  const tls: StreamServer = { host: '127.0.0.1', port: server.port, transport: 'tls' };
  const trusted = () => createSecureContext({ ca: [good.cert] });
  const socket = await client();
  expect(await ask(socket, (await relayTo([tls], { trusted })).relay, ALLOCATE)).toEqual(ALLOCATED);

  const unknown = await relayTo([tls]);
  expect((await ask(await client(), unknown.relay, ALLOCATE)).readUInt16BE(0)).toBe(0x0113);
  expect(unknown.events.unreachable).toEqual([expect.stringContaining('certificate')]);

  const misnamed = await relayTo([{ ...tls, host: 'localhost' }], { trusted });
  expect((await ask(await client(), misnamed.relay, ALLOCATE)).readUInt16BE(0)).toBe(0x0113);
  expect(misnamed.events.unreachable).toEqual([expect.stringContaining('localhost')]);
});

test('the first server that answers the request carries; one that only accepts does not', async () => {
  const silent = await fakeServer();
  silent.answer = () => undefined;
  const dead = await fakeServer();
  const deadPort = dead.port;
  await dead.close();
  open.splice(open.indexOf(dead), 1);
  const good = await fakeServer();
  const { relay, events } = await relayTo([tcp(silent.port), tcp(deadPort), tcp(good.port)]);
  const socket = await client();
  expect(await ask(socket, relay, ALLOCATE)).toEqual(ALLOCATED);
  expect(events.allocated).toEqual([`${good.port}`]);
  expect(silent.connections).toBe(1);
});

test('when no server answers the client is told at once', async () => {
  const dead = await fakeServer();
  const { port } = dead;
  await dead.close();
  open.splice(open.indexOf(dead), 1);
  const { relay, events, counters: counted } = await relayTo([tcp(port)]);
  expect((await ask(await client(), relay, ALLOCATE)).toString('hex')).toContain('00000508');
  expect(events.unreachable).toEqual([expect.stringContaining(`tcp 127.0.0.1:${port}: `)]);
  expect(counted.turn_streams_failed).toBe(1);
});

test('a relay that is closed in time opens no stream', async () => {
  const server = await fakeServer();
  const { relay } = await relayTo([tcp(server.port)], { graceMs: () => 50 });
  const socket = await client();
  socket.send(ALLOCATE, relay.endpoint.port, '127.0.0.1');
  const later = await relayTo([tcp(server.port)], { graceMs: () => 100 });
  const answer = ask(await client(), later.relay, ALLOCATE);
  open.splice(open.indexOf(relay), 1);
  relay.close();
  await answer;
  expect(server.connections).toBe(1);
});

test('a stream that breaks is told of, and the next request of the client makes another', async () => {
  const server = await fakeServer();
  const { relay, events, counters: counted } = await relayTo([tcp(server.port)]);
  const socket = await client();
  await ask(socket, relay, ALLOCATE);
  server.breakAll();
  await until(() => events.lost.length === 1);
  expect(relay.inUse).toBeUndefined();
  expect(await ask(socket, relay, ALLOCATE)).toEqual(ALLOCATED);
  expect(server.connections).toBe(2);
  expect(counted).toMatchObject({ turn_streams_opened: 2, turn_streams_lost: 1 });
});

test('a client that asks for another allocation gets another stream; one that repeats its request does not', async () => {
  const server = await fakeServer();
  server.answer = (message) => {
    if (message[1] !== 3) return message;
    return Buffer.concat([ALLOCATED.subarray(0, 4), message.subarray(4, 20), ALLOCATED.subarray(20)]);
  };
  const { relay, events, counters: counted } = await relayTo([tcp(server.port)]);
  const socket = await client();
  await ask(socket, relay, ALLOCATE);
  await ask(socket, relay, ALLOCATE);
  expect(server.connections).toBe(1);
  const other = Buffer.from(ALLOCATE);
  other[19] = 0x77;
  await ask(socket, relay, other);
  expect([server.connections, events.allocated.length, events.lost.length]).toEqual([2, 2, 0]);
  expect(counted).toMatchObject({ turn_streams_opened: 2, turn_streams_lost: 0 });
});

test('what is not TURN ends the stream instead of being passed on', async () => {
  const server = await fakeServer();
  const { relay, events } = await relayTo([tcp(server.port)]);
  await ask(await client(), relay, ALLOCATE);
  server.sendRaw(Buffer.from('SSH-2.0-OpenSSH\r\n'));
  await until(() => events.lost.length === 1);
  expect(events.lost[0]).toContain('not TURN');
});

test('other senders get nothing, neither before nor after the client came', async () => {
  const server = await fakeServer();
  const refused = await relayTo([tcp(server.port)], { isOurs: () => false });
  const stranger = await client();
  stranger.send(ALLOCATE, refused.relay.endpoint.port, '127.0.0.1');
  await until(() => refused.counters.dropped_turn_stranger === 1);
  expect(server.connections).toBe(0);

  const taken = await relayTo([tcp(server.port)]);
  await ask(await client(), taken.relay, ALLOCATE);
  stranger.send(CHANNEL_DATA, taken.relay.endpoint.port, '127.0.0.1');
  await until(() => taken.counters.dropped_turn_stranger === 1);
  expect(server.received).toEqual([ALLOCATE]);
});

test('whole datagrams are dropped while the stream is congested, and the framing holds', async () => {
  const server = await fakeServer();
  const { relay, counters: counted } = await relayTo([tcp(server.port)]);
  const socket = await client();
  await ask(socket, relay, ALLOCATE);
  server.stall();
  const big = Buffer.alloc(4 + 8_000, 7);
  big.writeUInt16BE(0x4000, 0);
  big.writeUInt16BE(8_000, 2);
  // More than the kernel takes (tcp_wmem and tcp_rmem, 4 and 6 MB by default) and we let wait.
  while (counted.dropped_turn_congested < 10) {
    for (let i = 0; i < 20; i++) socket.send(big, relay.endpoint.port, '127.0.0.1');
    await turn();
  }
  server.answer = () => CHANNEL_DATA;
  const passed = once(socket, 'message');
  server.resume();
  await passed;
  expect(server.received.slice(1).every((message) => message.equals(big))).toBe(true);
  expect(counted.dropped_turn_malformed).toBe(0);
});

test('datagrams without an allocation, and such as are no TURN, are dropped and counted', async () => {
  const server = await fakeServer();
  const { relay, counters: counted } = await relayTo([tcp(server.port)]);
  const socket = await client();
  socket.send(CHANNEL_DATA, relay.endpoint.port, '127.0.0.1');
  await until(() => counted.dropped_turn_unconnected === 1);
  await ask(socket, relay, ALLOCATE);
  socket.send(Buffer.from('hello'), relay.endpoint.port, '127.0.0.1');
  await until(() => counted.dropped_turn_malformed === 1);
});

test('a socket of this process is told from one of nobody', async () => {
  const socket = await client();
  const { port } = socket.address();
  expect(isOwnUdpPort(port)).toBe(true);
  socket.close();
  open.splice(open.indexOf(socket), 1);
  expect(isOwnUdpPort(port)).toBe(false);
});
