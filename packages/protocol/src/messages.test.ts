import { PeerError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type ApiCallError,
  accountDigest,
  type ControlMessage,
  decodeControl,
  decodeSignal,
  encodeControl,
  encodeSignal,
  FRAMES_HEADER_BYTES,
  forEachFrame,
  parseApiCall,
  parseApiReply,
  readFramesSequence,
  type Signal,
  uidOfFingerprint,
  writeFramesHeader,
} from './index.ts';

const fpr = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':');
const uid = uidOfFingerprint(fpr);
const cas = '0:1:udp:10.0.0.1:5000:1:abcd:0123456789012345678901:local::0:1';
const terms = fc.record({
  mode: fc.constantFrom('always' as const, 'groups' as const, 'never' as const),
  groups: fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), { maxLength: 64 }),
  without_common_group: fc.constantFrom('plain' as const, 'refuse' as const),
});

test('a signal survives its codec and is ASCII whatever the group names', () => {
  fc.assert(
    fc.property(terms, fc.integer({ min: 1, max: 1000 }), (security, attempt) => {
      const signal: Signal = { v: 1, uid, fpr, attempt, cas, security, refused: '172.31.0.9' };
      const data = encodeSignal(signal);
      expect(data).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeSignal(data)).toEqual(signal);
    }),
  );
});

test.each([
  ['uid', { uid: '00'.repeat(20) }],
  ['fpr', { fpr: 'AA:BB' }],
  ['attempt', { attempt: 0 }],
  ['attempt', { attempt: 2 ** 40 }],
  ['cas', { cas: 'nonsense' }],
  ['security.mode', { security: { mode: 'maybe', groups: [] } }],
  ['v', { v: 2 }],
])('a signal with a bad %s is refused by name', (field, change) => {
  const good = { v: 1, uid, fpr, attempt: 1, cas, security: { mode: 'always', groups: [] } };
  try {
    decodeSignal(JSON.stringify({ ...good, ...change }));
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ fault: 'peer', field });
  }
});

test('whatever JSON or text comes, the readers of signals, control messages and replies throw nothing but PeerError', () => {
  const readers: ((text: string) => unknown)[] = [
    decodeSignal,
    decodeControl,
    (text) => parseApiReply(Buffer.from(text)),
    (text) => parseApiCall(Buffer.from(text)),
  ];
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string(), fc.constant('{"t":"ping","id":1e999}')), (text) => {
      for (const read of readers) {
        try {
          read(text);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }
    }),
  );
});

test('control messages survive their codec', () => {
  const messages: ControlMessage[] = [
    {
      t: 'hello',
      v: 1,
      uid,
      attempt: 3,
      ip4: '172.31.0.1',
      ip6: null,
      security: null,
      heard: { mode: 'groups', groups: ['a'], without_common_group: 'plain' },
      features: ['x'],
    },
    {
      ...{
        t: 'hello',
        v: 1,
        uid,
        attempt: 3,
        ip4: null,
        ip6: null,
        security: null,
        heard: null,
        features: [],
      },
      accounts: { mine: accountDigest('alice@x.test'), theirs: accountDigest('bob@x.test') },
      layer: 3,
    },
    { t: 'ping', id: 7, sent: 12 },
    { t: 'pong', id: 7 },
    { t: 'credit', grant: 512, seq: 0, received: 0 },
    { t: 'bye', reason: 'done' },
  ];
  for (const message of messages) expect(decodeControl(encodeControl(message))).toEqual(message);
});

test.each([
  ['accounts', 'bob@x.test'],
  ['accounts.mine', { mine: 'AB'.repeat(32), theirs: accountDigest('x') }],
  ['accounts.theirs', { mine: accountDigest('x'), theirs: 'ab'.repeat(33) }],
])('a hello with bad %s is refused by name, whoever wrote it', (field, accounts) => {
  const hello = { t: 'hello', v: 1, uid, attempt: 1, ip4: null, ip6: null, security: null, heard: null };
  expect(() => decodeControl(JSON.stringify({ ...hello, features: [], accounts }))).toThrow(
    expect.objectContaining({ code: 'CONTROL_INVALID', field }),
  );
});

test('an account is a digest of its bare JID that everybody can compute', () => {
  // printf %s bob@vpn.test | sha256sum
  expect(accountDigest('bob@vpn.test')).toBe(
    '7d240781d9588fa231dd8a42a64d7af325021cc0c8dd2898bfdf359a8c78e6bc',
  );
});

test.each([
  ['{"m":"create_link","id":5,"uid":"zz"}', 'API_FIELD', 'uid', 5],
  ['{"m":"set_cb_endpoint","id":"a","ip":"127.0.0.1","port":0}', 'API_FIELD', 'port', 'a'],
  ['{"m":"set_logging","id":1,"logging":"loud"}', 'API_FIELD', 'logging', 1],
  ['{"m":"no_such","id":1}', 'API_METHOD_UNKNOWN', 'm', 1],
  ['{"id":1}', 'API_FIELD', 'm', 1],
  ['{"m":"echo_request","id":{}}', 'API_FIELD', 'id', undefined],
  ['[1]', 'API_NOT_OBJECT', undefined, undefined],
  ['nonsense', 'API_NOT_JSON', undefined, undefined],
  ['{"m":"constructor","id":1}', 'API_METHOD_UNKNOWN', 'm', 1],
  ['{"m":"__proto__","id":1}', 'API_METHOD_UNKNOWN', 'm', 1],
])('the malformed call %s is refused with %s at %s', (text, code, field, id) => {
  try {
    parseApiCall(Buffer.from(text));
    expect.unreachable();
  } catch (error) {
    expect({ ...(error as ApiCallError), field: (error as ApiCallError).field }).toMatchObject({
      code,
      field,
      id,
    });
  }
});

test("IPOP's own way of writing calls is read: 0 and 1 for booleans, no id, unknown fields", () => {
  const call = parseApiCall(
    Buffer.from(
      JSON.stringify({ m: 'create_link', uid, fpr, overlay_id: 1, sec: 0, cas: '', stun: 'a:1', x: 1 }),
    ),
  );
  expect(call).toMatchObject({ m: 'create_link', id: undefined, params: { sec: false, overlay_id: 1 } });
});

test('frames written into a message are read back, and a lying length is noticed', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      fc.array(fc.uint8Array({ minLength: 14, maxLength: 1600 }), { maxLength: 10 }),
      (sequence, frames) => {
        const parts = [new Uint8Array(FRAMES_HEADER_BYTES)];
        for (const frame of frames) parts.push(Uint8Array.of(frame.length >> 8, frame.length & 255), frame);
        const message = new Uint8Array(Buffer.concat(parts));
        writeFramesHeader(message, sequence);
        expect(readFramesSequence(message)).toBe(sequence);
        const seen: Uint8Array[] = [];
        expect(forEachFrame(message, (m, at, length) => seen.push(m.slice(at, at + length)))).toBe(
          frames.length,
        );
        expect(seen).toEqual(frames);
        if (frames.length > 0)
          expect(forEachFrame(message.subarray(0, message.length - 1), () => undefined)).toBe(-1);
      },
    ),
  );
});

test('any bytes as a frames message deliver only frames inside the message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (message) => {
      readFramesSequence(message);
      forEachFrame(message, (m, at, length) => {
        expect(at + length).toBeLessThanOrEqual(m.length);
        expect(length).toBeGreaterThanOrEqual(14);
      });
    }),
  );
});
