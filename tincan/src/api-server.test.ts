import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { ConfigError, createLogger } from '@kith/base';
import { type ApiAuth, ApiEnvelope, type ApiReply, parseApiReply } from '@kith/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ApiHandlers, ApiServer } from './api-server.ts';

const SECRET = Buffer.alloc(32, 5);

let server: ApiServer;
let client: Socket;
let envelope: ApiEnvelope;
let handle: ApiHandlers['call'];
const packets: Uint8Array[] = [];
const received: ApiReply[] = [];
let arrived: () => void = () => undefined;

function listen(port = 0, auth: ApiAuth = 'secret'): Promise<ApiServer> {
  return ApiServer.listen(
    { port, secret: SECRET, auth, log: createLogger('api', 'silent') },
    {
      call: (...args) => handle(...args),
      packet: (payload) => void packets.push(Uint8Array.from(payload)),
      icc: (type, payload) => void packets.push(Uint8Array.of(type, ...payload)),
    },
  );
}

beforeEach(async () => {
  packets.length = 0;
  handle = async (call) => [{ type: 'ok', id: call.id ?? '', m: call.m }];
  server = await listen();
  envelope = new ApiEnvelope(SECRET, 'call', 0n);
  received.length = 0;
  client = createSocket('udp4');
  client.on('message', (datagram) => {
    const opened = envelope.open(datagram, process.hrtime.bigint());
    if (!opened.ok) throw new Error(`a reply that does not open: ${opened.why}`);
    received.push(parseApiReply(opened.payload));
    arrived();
  });
  client.bind(0, '127.0.0.1');
  await once(client, 'listening');
});

afterEach(async () => {
  client.close();
  await server.close();
});

function send(datagram: Uint8Array): void {
  client.send(datagram, server.port, '127.0.0.1');
}

function call(text: string, type = 1): void {
  send(envelope.seal(type, Buffer.from(text), process.hrtime.bigint()));
}

async function replies(count: number): Promise<ApiReply[]> {
  while (received.length < count) {
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
  return received;
}

test('calls are done one after the other, and the replies come in the order of the calls', async () => {
  const running: number[] = [];
  let most = 0;
  handle = async (made) => {
    running.push(1);
    most = Math.max(most, running.length);
    // The first call takes longest: without turns it would be answered last.
    for (let turn = made.id === 0 ? 50 : 0; turn > 0; turn--) await new Promise(setImmediate);
    running.pop();
    return [{ type: 'ok', id: made.id ?? '', m: made.m }];
  };
  for (let id = 0; id < 20; id++) call(JSON.stringify({ m: 'get_state', id }));
  const ids = (await replies(20)).map((reply) => ('id' in reply ? reply.id : undefined));
  expect(ids).toEqual(Array.from({ length: 20 }, (_, id) => id));
  expect(most).toBe(1);
  expect(server.counters).toMatchObject({ api_calls: 20, api_errors: 0 });
});

test.each([
  [
    new ConfigError('NOT_READY', 'not yet', { field: 'uid' }),
    { code: 'NOT_READY', error: 'not yet', field: 'uid' },
  ],
  [new TypeError('x is undefined'), { code: 'BUG', error: 'x is undefined' }],
])('what the handler throws is the error reply of that call: %s', async (thrown, expected) => {
  handle = async () => {
    throw thrown;
  };
  call('{"m":"trim_link","id":"t","uid":"0123456789012345678901234567890123456789"}');
  expect((await replies(1))[0]).toEqual({ type: 'error', id: 't', m: 'trim_link', ...expected });
  handle = async (made) => [{ type: 'ok', id: made.id ?? '', m: made.m }];
  call('{"m":"get_state","id":"next"}');
  expect((await replies(2))[1]).toMatchObject({ type: 'ok', id: 'next' });
});

test('a type that is not served is refused, without a look at what is inside', async () => {
  call('{"m":"get_state","id":1}', 5);
  expect((await replies(1))[0]).toMatchObject({ type: 'error', code: 'API_TYPE' });
  expect(server.counters.api_calls).toBe(0);
});

test('what waits is bounded: calls beyond the bound are refused at once, with their id', async () => {
  let release: () => void = () => undefined;
  const blocked = new Promise<void>((resolve) => {
    release = resolve;
  });
  handle = async (made) => {
    await blocked;
    return [{ type: 'ok', id: made.id ?? '', m: made.m }];
  };
  // Sent in portions, since a socket's buffer holds only some hundred datagrams.
  let sent = 0;
  while (received.length === 0) {
    for (let count = 0; count < 50; count++) call(JSON.stringify({ m: 'get_state', id: `call ${sent++}` }));
    await new Promise(setImmediate);
  }
  const refused = received[0];
  expect(refused).toMatchObject({ type: 'error', code: 'API_BUSY', m: 'get_state' });
  expect(sent).toBeGreaterThan(1_024);
  expect(refused !== undefined && 'id' in refused ? refused.id : undefined).toMatch(/^call \d+$/);
  release();
  // A thousand replies at once may overflow the client's buffer, so it asks until it is answered.
  while (!received.some((reply) => 'id' in reply && reply.id === 'after')) {
    call('{"m":"get_state","id":"after"}');
    await new Promise(setImmediate);
  }
});

test('a reply that exceeds a datagram is dropped and counted, and the next is sent', async () => {
  handle = async () => [
    { type: 'echo_request', id: 'huge', msg: 'x'.repeat(70_000) },
    { type: 'echo_request', id: 'small', msg: '' },
  ];
  call('{"m":"echo_request","id":1}');
  expect((await replies(1))[0]).toMatchObject({ id: 'small' });
  expect(server.counters.api_dropped_oversize).toBe(1);
});

test('a port that is taken is named', async () => {
  await expect(listen(server.port)).rejects.toMatchObject({ code: 'API_PORT', field: 'api.port' });
});

test('a call that is still at work when the server ends is left without a reply, and nothing throws', async () => {
  let finish: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    handle = () => {
      resolve();
      return new Promise((done) => {
        finish = () => done([{ type: 'ok', id: 1, m: 'get_state' }]);
      });
    };
  });
  const other = await listen();
  const datagram = envelope.seal(1, Buffer.from('{"m":"get_state","id":1}'), process.hrtime.bigint());
  client.send(datagram, other.port, '127.0.0.1');
  await started;
  await other.close();
  finish();
  // An unhandled rejection would fail the run.
  await new Promise(setImmediate);
  expect(other.counters.api_errors).toBe(0);
});

test.each([
  [2, '127.0.0.1'],
  [3, '::1'],
])("an open API is called in IPOP's version %i on %s, and answers likewise", async (version, address) => {
  const open = await listen(0, 'none');
  const socket = createSocket(address === '::1' ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  try {
    socket.send(Buffer.concat([Buffer.of(version, 1), Buffer.from('{"m":"trim_link"}')]), open.port, address);
    const [datagram] = await once(socket, 'message');
    expect([...datagram.subarray(0, 2)]).toEqual([version, 1]);
    expect(JSON.parse(datagram.subarray(2).toString())).toMatchObject({ type: 'error', field: 'uid' });
    // What has no answer has been done by the time that the call behind it is answered.
    for (const type of [2, 3, 4]) socket.send(Buffer.of(version, type, 9), open.port, address);
    socket.send(Buffer.concat([Buffer.of(version, 1), Buffer.from('{"m":"get_state"}')]), open.port, address);
    await once(socket, 'message');
    expect(packets).toEqual([Uint8Array.of(9), Uint8Array.of(3, 9), Uint8Array.of(4, 9)]);
  } finally {
    socket.close();
    await open.close();
  }
});

test("what a tincan says is not answered when it comes as a call in IPOP's form: two would never stop", async () => {
  const open = await listen(0, 'none');
  const heard: string[] = [];
  const socket = createSocket('udp4', (datagram) => void heard.push(datagram.subarray(2).toString()));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  try {
    const say = (text: string) =>
      socket.send(Buffer.from(`\x02\x01${text}`, 'latin1'), open.port, '127.0.0.1');
    say('{"type":"con_stat","uid":"x","data":"online"}');
    say('{"type":"error","error":"m must name the method"}');
    say('{"m":"get_state"}');
    await once(socket, 'message');
    expect(heard).toHaveLength(1);
    expect(JSON.parse(heard[0] ?? '')).toMatchObject({ type: 'ok' });
    expect(open.counters).toMatchObject({ api_dropped_replies: 2, api_errors: 0 });
  } finally {
    socket.close();
    await open.close();
  }
});
