import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ApiEnvelope } from './api-envelope.ts';
import { ApiForms, encodeReply } from './api-forms.ts';
import type { ApiReply } from './api-replies.ts';

const SECRET = Buffer.alloc(32, 3);
const T0 = 1_000_000_000_000n;
const forms = (auth: 'secret' | 'none') => new ApiForms(SECRET, auth, T0);
const ipopForm = fc.constantFrom(2 as const, 3 as const);
const byte = fc.integer({ min: 0, max: 255 });
const payload = fc.uint8Array({ maxLength: 300 });

test("IPOP's forms are read where the API is open, and never where it wants the secret", () => {
  fc.assert(
    fc.property(ipopForm, byte, payload, (form, type, bytes) => {
      const datagram = Buffer.from([form, type, ...bytes]);
      const read = forms('none').read(datagram, T0 + 1n);
      expect(read).toEqual({ ok: true, form, type, payload: Buffer.from(bytes) });
      expect(forms('secret').read(datagram, T0 + 1n).ok).toBe(false);
    }),
  );
});

test('a datagram that proves the secret is read either way, and one that pretends to never', () => {
  for (const auth of ['secret', 'none'] as const) {
    const sealed = new ApiEnvelope(SECRET, 'call', T0).seal(1, Buffer.from('{}'), T0 + 1n);
    expect(forms(auth).read(sealed, T0 + 2n)).toMatchObject({ ok: true, form: 4, type: 1 });
    sealed[20] = (sealed[20] ?? 0) ^ 1;
    expect(forms(auth).read(sealed, T0 + 2n)).toEqual({ ok: false, why: 'tag' });
  }
});

test('any bytes are read or refused, and nothing throws', () => {
  fc.assert(
    fc.property(payload, fc.constantFrom('secret' as const, 'none' as const), (bytes, auth) => {
      const read = forms(auth).read(Buffer.from(bytes), T0 + 1n);
      expect(read.ok).toBe(auth === 'none' && (bytes[0] === 2 || bytes[0] === 3) && bytes.length >= 2);
    }),
  );
});

test('an answer has the form of its question', () => {
  fc.assert(
    fc.property(ipopForm, byte, payload, (form, type, bytes) => {
      const datagram = forms('none').write(form, type, bytes, T0);
      expect([...datagram]).toEqual([form, type, ...bytes]);
    }),
  );
  const sealed = forms('none').write(4, 1, Buffer.from('{}'), T0 + 1n);
  expect(new ApiEnvelope(SECRET, 'call', T0).open(sealed, T0 + 2n).ok).toBe(true);
});

test("a peer's message has its name as type for IPOP's controllers, and is told apart for ours", () => {
  const message: ApiReply = { type: 'peer_message', uid: 'ab'.repeat(20), m: 'con_req', data: 'x' };
  expect(JSON.parse(encodeReply(4, message).toString())).toEqual(message);
  expect(JSON.parse(encodeReply(2, message).toString())).toEqual({
    type: 'con_req',
    uid: message.uid,
    data: 'x',
  });
});
