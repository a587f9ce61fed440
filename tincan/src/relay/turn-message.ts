import { STUN_HEADER_BYTES } from './stream-framing.ts';

/** RFC 8656 §17: method Allocate (3) with the class bits of RFC 8489 §5. */
const ALLOCATE_REQUEST = 0x0003;
const ALLOCATE_SUCCESS = 0x0103;
const ALLOCATE_ERROR = 0x0113;

/** RFC 8489 §18.3. */
const ERROR_CODE = 0x0009;
/** RFC 8656 §19.4: "Insufficient Capacity: the server is unable to carry out the request due to some capacity limit being reached". */
const INSUFFICIENT_CAPACITY = 508;

export function isAllocateRequest(message: Uint8Array): boolean {
  return message.length >= STUN_HEADER_BYTES && type(message) === ALLOCATE_REQUEST;
}

/** The transaction of a STUN message of full length, in hex. */
export function transactionOf(message: Uint8Array): string {
  return Buffer.from(message.subarray(8, STUN_HEADER_BYTES)).toString('hex');
}

/** Whether `message` is a response, good or bad, to the Allocate request. */
export function isAllocateResponse(message: Uint8Array, request: Uint8Array): boolean {
  if (message.length < STUN_HEADER_BYTES) return false;
  if (type(message) !== ALLOCATE_SUCCESS && type(message) !== ALLOCATE_ERROR) return false;
  return Buffer.compare(message.subarray(4, STUN_HEADER_BYTES), request.subarray(4, STUN_HEADER_BYTES)) === 0;
}

export function isAllocateSuccess(message: Uint8Array): boolean {
  return message.length >= STUN_HEADER_BYTES && type(message) === ALLOCATE_SUCCESS;
}

/** The answer of a server that has no room, to an Allocate request: the client gives this server up at once. */
export function refuseAllocate(request: Uint8Array): Uint8Array {
  const response = new Uint8Array(STUN_HEADER_BYTES + 8);
  const view = new DataView(response.buffer);
  view.setUint16(0, ALLOCATE_ERROR);
  view.setUint16(2, 8);
  response.set(request.subarray(4, STUN_HEADER_BYTES), 4);
  view.setUint16(STUN_HEADER_BYTES, ERROR_CODE);
  view.setUint16(STUN_HEADER_BYTES + 2, 4);
  // RFC 8489 §14.8: hundreds and the rest in a byte each.
  response[STUN_HEADER_BYTES + 6] = Math.floor(INSUFFICIENT_CAPACITY / 100);
  response[STUN_HEADER_BYTES + 7] = INSUFFICIENT_CAPACITY % 100;
  return response;
}

function type(message: Uint8Array): number {
  return ((message[0] ?? 0) << 8) | (message[1] ?? 0);
}
