import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ApiEnvelope, STAMP_WINDOW_NS } from './index.ts';

const secret = Buffer.alloc(32, 7);
const T0 = 1_000_000_000_000n;
const pair = (serverSecret = secret, serverStart = T0) => ({
  client: new ApiEnvelope(secret, 'call', T0),
  server: new ApiEnvelope(serverSecret, 'reply', serverStart),
});

test('a sealed call opens to the same type and payload', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 2000 }), (type, payload) => {
      const { client, server } = pair();
      const opened = server.open(client.seal(type, payload, T0 + 5n), T0 + 6n);
      expect(opened.ok && [opened.type, Buffer.from(opened.payload)]).toEqual([type, Buffer.from(payload)]);
    }),
  );
});

test('a captured datagram is refused the second time', () => {
  const { client, server } = pair();
  const datagram = client.seal(1, Buffer.from('{}'), T0 + 1n);
  expect(server.open(datagram, T0 + 2n).ok).toBe(true);
  expect(server.open(datagram, T0 + 3n)).toEqual({ ok: false, why: 'replayed' });
});

test('a captured datagram is refused by a receiver that was started after it', () => {
  const { client } = pair();
  const datagram = client.seal(1, Buffer.from('{}'), T0 + 1n);
  const restarted = new ApiEnvelope(secret, 'reply', T0 + 2n);
  expect(restarted.open(datagram, T0 + 3n)).toEqual({ ok: false, why: 'stale' });
});

test('a datagram older than the window is stale, so a nonce may be forgotten after it', () => {
  const { client, server } = pair();
  const datagram = client.seal(1, Buffer.from('{}'), T0 + 1n);
  expect(server.open(datagram, T0 + 2n + STAMP_WINDOW_NS)).toEqual({ ok: false, why: 'stale' });
});

test('another secret, any changed byte and a reply sent back as a call are refused', () => {
  const { client, server } = pair();
  const wrong = new ApiEnvelope(Buffer.alloc(32, 8), 'reply', T0);
  const datagram = client.seal(1, Buffer.from('{"m":"get_state"}'), T0 + 1n);
  expect(wrong.open(datagram, T0 + 2n)).toEqual({ ok: false, why: 'tag' });
  fc.assert(
    fc.property(fc.nat(datagram.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const forged = Buffer.from(datagram);
      forged[at] = (forged[at] ?? 0) ^ flip;
      expect(server.open(forged, T0 + 2n).ok).toBe(false);
    }),
  );
  const reply = server.seal(1, Buffer.from('{}'), T0 + 1n);
  expect(server.open(reply, T0 + 2n)).toEqual({ ok: false, why: 'tag' });
});

test('arbitrary bytes are refused and never throw', () => {
  const { server } = pair();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(server.open(Buffer.from(bytes), T0 + 1n).ok).toBe(false);
    }),
  );
});
