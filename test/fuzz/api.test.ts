import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createLogger, PeerError } from '@kith/base';
import { type ApiCall, ApiEnvelope, type ApiReply, parseApiCall, parseApiReply } from '@kith/protocol';
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
    server = await ApiServer.listen(0, SECRET, handle, createLogger('fuzz', 'silent'));
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
