import { ipFromBytes } from '@kith/protocol';
import { STUN_HEADER_BYTES } from './stream-framing.ts';

/** RFC 8656 §17: method Allocate (3) with the class bits of RFC 8489 §5. */
const ALLOCATE_REQUEST = 0x0003;
const ALLOCATE_SUCCESS = 0x0103;
const ALLOCATE_ERROR = 0x0113;

/** RFC 8489 §18.3 and RFC 8656 §18.1: addresses xor'd with cookie and transaction. */
const XOR_MAPPED_ADDRESS = 0x0020;
const XOR_RELAYED_ADDRESS = 0x0016;
const ERROR_CODE = 0x0009;
/** RFC 8656 §19.4: "Insufficient Capacity: the server is unable to carry out the request due to some capacity limit being reached". */
const INSUFFICIENT_CAPACITY = 508;

/** A response to Allocate has some ten attributes. */
const MAX_ATTRIBUTES = 32;

export interface Endpoint {
  ip: string;
  port: number;
}

/** What of the messages that pass the relay needs to know: whose stream answers, and which addresses come of it. */
export interface Allocated {
  /** The client's address as the server saw it: that of the stream. */
  mapped: Endpoint | undefined;
  relayed: Endpoint | undefined;
}

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

/** The addresses in a good response to Allocate; undefined for any other message. */
export function readAllocated(message: Uint8Array): Allocated | undefined {
  if (message.length < STUN_HEADER_BYTES || type(message) !== ALLOCATE_SUCCESS) return undefined;
  const found: Allocated = { mapped: undefined, relayed: undefined };
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const mask = message.subarray(4, STUN_HEADER_BYTES);
  let at = STUN_HEADER_BYTES;
  for (let count = 0; count < MAX_ATTRIBUTES && at + 4 <= message.length; count++) {
    const attribute = view.getUint16(at);
    const length = view.getUint16(at + 2);
    const value = message.subarray(at + 4, at + 4 + length);
    if (attribute === XOR_MAPPED_ADDRESS) found.mapped ??= xorAddress(value, mask);
    if (attribute === XOR_RELAYED_ADDRESS) found.relayed ??= xorAddress(value, mask);
    at += 4 + ((length + 3) & ~3);
  }
  return found;
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

/** RFC 8489 §14.2: zero u8, family u8, port u16, address; `mask`: cookie and transaction, the port masked by the start of the cookie. */
function xorAddress(value: Uint8Array, mask: Uint8Array): Endpoint | undefined {
  const bytes = value[1] === 1 ? 4 : value[1] === 2 ? 16 : 0;
  if (bytes === 0 || value.length !== 4 + bytes) return undefined;
  const port = (((value[2] ?? 0) ^ (mask[0] ?? 0)) << 8) | ((value[3] ?? 0) ^ (mask[1] ?? 0));
  const ip = Uint8Array.from(value.subarray(4), (byte, index) => byte ^ (mask[index] ?? 0));
  return { ip: ipFromBytes(ip), port };
}
