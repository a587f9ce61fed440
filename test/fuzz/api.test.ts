import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createLogger, PeerError } from '@kith/base';
import {
  type ApiCall,
  ApiEnvelope,
  type ApiReply,
  parseApiCall,
  parseApiReply,
  readApiPacket,
  readIcc,
} from '@kith/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiServer } from '../../tincan/dist/api-server.js';
import { corpus } from './corpus.ts';
import { nearlyBytes, nearlyValid } from './mutate.ts';

// What the corpus of datagrams was sealed with.
const SECRET = Buffer.alloc(32, 1);
const STARTED_AT = 5_000_000_000n;
const NOW = 20_000_000_000n;

const opener = (): ApiEnvelope => new ApiEnvelope(SECRET, 'reply', STARTED_AT);

describe('an envelope', () => {
  test.each(corpus('api-datagram'))('$name', ({ data, good }) => {
    const envelope = opener();
    expect(envelope.open(data, NOW).ok).toBe(good);
    if (good) expect(envelope.open(data, NOW)).toEqual({ ok: false, why: 'replayed' });
  });

  test('bytes near a sealed datagram never open, unless they are it', () => {
    const envelope = opener();
    const [sealed] = corpus('api-datagram').filter(({ name }) => name === 'good: a call');
    if (sealed === undefined) throw new Error('the corpus lacks its call');
    fc.assert(
      fc.property(nearlyBytes(sealed.data), (bytes) => {
        const same = Buffer.compare(bytes, sealed.data) === 0;
        // The very datagram opens once, and is a replay ever after.
        if (!same) expect(envelope.open(Buffer.from(bytes), NOW).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a server on a real socket', () => {
  let server: ApiServer;
  let client: Socket;
  let envelope: ApiEnvelope;
  const handled: ApiCall[] = [];
  const waiting: ((reply: ApiReply) => void)[] = [];
  let unexpected = 0;

  beforeAll(async () => {
    const handle = async (call: ApiCall): Promise<ApiReply[]> => {
      handled.push(call);
      return [{ type: 'ok', m: call.m, ...(call.id === undefined ? {} : { id: call.id }) }];
    };
    server = await ApiServer.listen(
      { port: 0, secret: SECRET, auth: 'secret', log: createLogger('fuzz', 'silent') },
      { call: handle, packet: readApiPacket, icc: readIcc },
    );
    envelope = new ApiEnvelope(SECRET, 'call', 0n);
    client = createSocket('udp4');
    client.on('message', (datagram) => {
      const opened = envelope.open(datagram, process.hrtime.bigint());
      const next = waiting.shift();
      if (!opened.ok || next === undefined) unexpected++;
      else next(parseApiReply(opened.payload));
    });
    client.bind(0, '127.0.0.1');
    await once(client, 'listening');
  });

  afterAll(async () => {
    client.close();
    await server.close();
  });

  /** The one reply to a proved payload. */
  function answer(payload: Uint8Array): Promise<ApiReply> {
    return new Promise((resolve) => {
      waiting.push(resolve);
      client.send(envelope.seal(1, payload, process.hrtime.bigint()), server.port, '127.0.0.1');
    });
  }

  test.each(corpus('api-call'))('$name', async ({ data, good }) => {
    const before = handled.length;
    const reply = await answer(data);
    expect(reply.type).toBe(good ? 'ok' : 'error');
    expect(handled.length - before).toBe(good ? 1 : 0);
    if (!good) {
      expect(reply).toMatchObject({
        code: expect.stringMatching(/^API_/),
        error: expect.stringMatching(/./),
      });
      // Whoever gets the id right has it repeated, however wrong the rest is.
      const id = /"id":(1|"x")[,}]/.exec(data.toString('latin1'))?.[1];
      if (id !== undefined && data.toString('latin1').endsWith('}')) {
        expect(reply).toMatchObject({ id: JSON.parse(id), field: expect.stringMatching(/./) });
      }
    }
  });

  test.each(corpus('api-datagram'))('$name, out of its time', async ({ data }) => {
    // Stamped at 19 s of a clock that has long gone on, or with a wrong proof: never answered, nothing done.
    const { api_dropped_unproved, api_dropped_replayed } = server.counters;
    const before = handled.length;
    client.send(data, server.port, '127.0.0.1');
    expect(await answer(Buffer.from('{"m":"get_state"}'))).toMatchObject({ type: 'ok' });
    expect(handled.length).toBe(before + 1);
    expect(unexpected).toBe(0);
    const dropped = server.counters.api_dropped_unproved + server.counters.api_dropped_replayed;
    expect(dropped).toBe(api_dropped_unproved + api_dropped_replayed + 1);
  });

  const valid = corpus('api-call')
    .filter(({ good }) => good)
    .map(({ data }) => data);
  const documents = valid
    .map((data): unknown => JSON.parse(data.toString('utf8')))
    .filter((document): document is Record<string, unknown> => typeof document === 'object');
  const payload = fc.oneof(
    fc.constantFrom(...documents).chain((document) => nearlyValid(document).map((text) => Buffer.from(text))),
    fc.constantFrom(...valid).chain((data) => nearlyBytes(data)),
    fc.json().map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 200 }),
  );

  test('whatever a holder of the secret sends is done or refused with a code, and the next call is served', async () => {
    await fc.assert(
      fc.asyncProperty(payload, async (bytes) => {
        const before = handled.length;
        const reply = await answer(bytes);
        if (reply.type === 'error') expect(reply.code).toMatch(/^API_/);
        else expect(reply.type).toBe('ok');
        expect(handled.length - before).toBe(reply.type === 'ok' ? 1 : 0);
      }),
      { numRuns: 1_000 },
    );
    expect(unexpected).toBe(0);
  });

  test('the reader of calls throws nothing but PeerError with a code of its own', () => {
    fc.assert(
      fc.property(payload, (bytes) => {
        try {
          parseApiCall(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a server that is open to all', () => {
  let server: ApiServer;
  let client: Socket;
  let answers = 0;
  let taken = 0;
  let arrived: () => void = () => undefined;

  beforeAll(async () => {
    const take = (read: () => unknown): void => {
      read();
      taken++;
    };
    server = await ApiServer.listen(
      { port: 0, secret: SECRET, auth: 'none', log: createLogger('fuzz', 'silent') },
      {
        call: async (call) => [{ type: 'ok', m: call.m, id: 'done' }],
        packet: (payload) => take(() => readApiPacket(payload)),
        icc: (type, payload) => take(() => readIcc(type, payload)),
      },
    );
    client = createSocket('udp4');
    client.on('message', (datagram) => {
      const { type } = JSON.parse(datagram.subarray(2).toString('utf8'));
      expect(['ok', 'error']).toContain(type);
      answers++;
      arrived();
    });
    client.bind(0, '127.0.0.1');
    await once(client, 'listening');
  });

  afterAll(async () => {
    client.close();
    await server.close();
  });

  const header = fc.constantFrom([2, 1], [2, 2], [3, 1], [3, 2], [3, 3], [3, 4], [2, 0], [3, 255]);
  const icc = Buffer.concat([
    Buffer.alloc(20),
    Buffer.alloc(20, 7),
    Buffer.from('0069706f70030000000000000000', 'hex'),
    Buffer.from('{"msg_type":"advertise"}'),
  ]);
  const calls = corpus('api-call').map(({ data }) => data);
  const body = fc.oneof(
    fc.constantFrom(...calls, icc).chain((data) => nearlyBytes(data)),
    fc.uint8Array({ maxLength: 120 }),
  );

  test("whatever comes in IPOP's forms is answered once or taken without an answer, as its type wants", async () => {
    await fc.assert(
      fc.asyncProperty(header, body, async ([version = 0, type = 0], bytes) => {
        const before = answers + taken;
        const { api_packets, api_calls } = server.counters;
        client.send(Buffer.from([version, type, ...bytes]), server.port, '127.0.0.1');
        // Types 2 to 4 that are sound have no answer; the call behind them shows that they were read.
        client.send(Buffer.from('\x02\x01{"m":"get_state"}', 'latin1'), server.port, '127.0.0.1');
        while (answers + taken < before + 2) {
          await new Promise<void>((resolve) => {
            arrived = resolve;
          });
        }
        expect(answers + taken).toBe(before + 2);
        const read = server.counters.api_packets - api_packets + server.counters.api_calls - api_calls;
        expect(read).toBe(2);
      }),
      { numRuns: 1_000 },
    );
  });
});
