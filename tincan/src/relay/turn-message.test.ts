import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAllocateRequest, isAllocateResponse, isAllocateSuccess, refuseAllocate } from './turn-message.ts';

/** Allocate request with the transaction 01 02 … 0c. */
const request = Buffer.from('000300002112a4420102030405060708090a0b0c', 'hex');

/** With XOR-RELAYED-ADDRESS 198.51.100.1 and no more. */
const success = Buffer.from('0103000c2112a4420102030405060708090a0b0c0016000800012c84e721c043', 'hex');

test('a good response to Allocate is told from all else', () => {
  expect(isAllocateSuccess(success)).toBe(true);
  expect(isAllocateSuccess(request)).toBe(false);
  expect(isAllocateSuccess(refuseAllocate(request))).toBe(false);
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
      isAllocateSuccess(Buffer.concat([success.subarray(0, 20), bytes]));
      isAllocateSuccess(bytes);
      isAllocateRequest(bytes);
      isAllocateResponse(bytes, request);
    }),
  );
});
