import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAllocateRequest, isAllocateResponse, readAllocated, refuseAllocate } from './turn-message.ts';

/** Allocate request with the transaction 01 02 … 0c. */
const request = Buffer.from('000300002112a4420102030405060708090a0b0c', 'hex');

// By hand from RFC 8489 §14.2: 198.51.100.1 port 3478 is e721 d8... xor'd with 2112 and 2112a442.
const relayed = '0016000800012c84e721c043';
const mapped = '00200008000135e5ea12d565';
const success = Buffer.from(`010300182112a4420102030405060708090a0b0c${relayed}${mapped}`, 'hex');

test('the addresses of an allocation are read', () => {
  expect(readAllocated(success)).toEqual({
    relayed: { ip: '198.51.100.1', port: 0x2c84 ^ 0x2112 },
    mapped: { ip: '203.0.113.39', port: 0x35e5 ^ 0x2112 },
  });
  expect(readAllocated(request)).toBeUndefined();
});

test('a response belongs to the request whose transaction it repeats', () => {
  expect(isAllocateRequest(request)).toBe(true);
  expect(isAllocateRequest(success)).toBe(false);
  expect(isAllocateResponse(success, request)).toBe(true);
  expect(isAllocateResponse(request, request)).toBe(false);
  const other = Buffer.from(success);
  other[19] = 0;
  expect(isAllocateResponse(other, request)).toBe(false);
});

test('a refusal is a whole STUN message with error 508', () => {
  const refusal = refuseAllocate(request);
  expect(isAllocateResponse(refusal, request)).toBe(true);
  expect(Buffer.from(refusal).toString('hex')).toBe(
    '011300082112a4420102030405060708090a0b0c0009000400000508',
  );
});

test('no bytes make the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      readAllocated(Buffer.concat([success.subarray(0, 20), bytes]));
      readAllocated(bytes);
      isAllocateRequest(bytes);
      isAllocateResponse(bytes, request);
    }),
  );
});
