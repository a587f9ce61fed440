import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { ipToBytes } from './ip-text.ts';
import {
  ATTRIBUTE_FINGERPRINT,
  ATTRIBUTE_HEADER_BYTES,
  FAMILY_IPV4,
  FAMILY_IPV6,
  fingerprint,
  MAX_ATTRIBUTES,
  readAddress,
  STUN_HEADER_BYTES,
  STUN_MAGIC_COOKIE,
  STUN_TRANSACTION_BYTES,
} from './stun.ts';

/** Methods of TURN (RFC 8656 §17) that a client asks for. */
export const TURN_METHODS = { allocate: 0x003, refresh: 0x004, channelBind: 0x009 } as const;
export type TurnMethod = keyof typeof TURN_METHODS;

/** RFC 8489 §5: the class bits stand between the method's; these methods have bits 0 to 3 only, so they are merely added. */
const CLASS_SUCCESS = 0x100;
const CLASS_ERROR = 0x110;
/** Method Data (0x007) as an indication. */
const DATA_INDICATION = 0x0017;

const ATTRIBUTE_USERNAME = 0x0006;
const ATTRIBUTE_MESSAGE_INTEGRITY = 0x0008;
const ATTRIBUTE_ERROR_CODE = 0x0009;
const ATTRIBUTE_CHANNEL_NUMBER = 0x000c;
const ATTRIBUTE_LIFETIME = 0x000d;
const ATTRIBUTE_XOR_PEER_ADDRESS = 0x0012;
const ATTRIBUTE_DATA = 0x0013;
const ATTRIBUTE_REALM = 0x0014;
const ATTRIBUTE_NONCE = 0x0015;
const ATTRIBUTE_XOR_RELAYED_ADDRESS = 0x0016;
const ATTRIBUTE_REQUESTED_TRANSPORT = 0x0019;

/** Protocol number of UDP, the one transport of a relayed address that RFC 8656 has. */
const TRANSPORT_UDP = 17;
const INTEGRITY_BYTES = 20;

/** RFC 8489 §14.3 and §14.9: fewer than 128 characters, each of at most six bytes as the RFC counts. */
const MAX_TEXT_BYTES = 763;

interface Endpoint {
  ip: string;
  port: number;
}

/** RFC 8489 §9.2: what a request carries once the server has named its realm and a nonce. */
export interface TurnAuth {
  username: string;
  realm: string;
  nonce: string;
  /** Of turnKey. */
  key: Uint8Array;
}

export interface TurnRequest {
  method: TurnMethod;
  /** 12 unpredictable bytes: they are what keeps forgers out before there is a key. */
  transaction: Uint8Array;
  auth?: TurnAuth;
  /** Seconds. */
  lifetime?: number;
  channel?: number;
  peer?: Endpoint;
}

/** A success or error response to a request, or a Data indication. */
export type TurnMessage = { kind: 'data'; peer: Endpoint; data: Uint8Array } | TurnResponse;

export interface TurnResponse {
  kind: 'success' | 'error';
  method: TurnMethod;
  /** 12 bytes, hex. */
  transaction: string;
  /** Whether the server proved with this key that it made the message. */
  isProvedBy(key: Uint8Array): boolean;
  /** 300 to 699; 0: none. */
  code: number;
  realm: string | null;
  nonce: string | null;
  /** Seconds; null: not said. */
  lifetime: number | null;
  relayed: Endpoint | null;
}

/**
 * The key of the long-term credential mechanism (RFC 8489 §9.2.2). OpaqueString preparation (RFC 8265) is left out: what hubs give
 * out by XEP-0215 is ASCII, which it does not change.
 */
export function turnKey(username: string, realm: string, password: string): Uint8Array {
  return createHash('md5')
    .update(`${username}:`)
    .update(Buffer.from(realm, 'latin1'))
    .update(`:${password}`)
    .digest();
}

/** A request; authenticated where `auth` is given. */
export function encodeTurnRequest(request: TurnRequest): Uint8Array {
  const { method, transaction, auth, lifetime, channel, peer } = request;
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(STUN_MAGIC_COOKIE);
  mask.set(transaction.subarray(0, STUN_TRANSACTION_BYTES), 4);
  const parts: Buffer[] = [];
  if (method === 'allocate') {
    parts.push(attribute(ATTRIBUTE_REQUESTED_TRANSPORT, Buffer.from([TRANSPORT_UDP, 0, 0, 0])));
  }
  if (lifetime !== undefined) parts.push(attribute(ATTRIBUTE_LIFETIME, word(lifetime)));
  if (channel !== undefined) {
    parts.push(attribute(ATTRIBUTE_CHANNEL_NUMBER, Buffer.from([channel >> 8, channel & 0xff, 0, 0])));
  }
  if (peer !== undefined) parts.push(attribute(ATTRIBUTE_XOR_PEER_ADDRESS, addressValue(peer, mask)));
  if (auth !== undefined) {
    parts.push(attribute(ATTRIBUTE_USERNAME, Buffer.from(auth.username)));
    parts.push(attribute(ATTRIBUTE_REALM, Buffer.from(auth.realm, 'latin1')));
    parts.push(attribute(ATTRIBUTE_NONCE, Buffer.from(auth.nonce, 'latin1')));
  }
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(STUN_HEADER_BYTES);
  header.writeUInt16BE(TURN_METHODS[method]);
  header.set(mask, 4);
  if (auth === undefined) {
    header.writeUInt16BE(body.length, 2);
    return Buffer.concat([header, body]);
  }
  // RFC 8489 §14.5: the length in the header counts the integrity while it is computed.
  header.writeUInt16BE(body.length + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES, 2);
  const message = Buffer.concat([header, body]);
  const proof = createHmac('sha1', auth.key).update(message).digest();
  return Buffer.concat([message, attribute(ATTRIBUTE_MESSAGE_INTEGRITY, proof)]);
}

/**
 * Reads what a TURN server sends besides ChannelData. Undefined for everything else: other messages, lengths that lie, attributes
 * of a wrong form, a FINGERPRINT that is wrong or not last. What stands behind MESSAGE-INTEGRITY is not proved by it and does not count.
 */
export function decodeTurn(data: Uint8Array): TurnMessage | undefined {
  if (data.length < STUN_HEADER_BYTES) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const kindAndMethod = messageOf(view.getUint16(0));
  if (kindAndMethod === undefined || view.getUint32(4) !== STUN_MAGIC_COOKIE) return undefined;
  if (STUN_HEADER_BYTES + view.getUint16(2) !== data.length) return undefined;
  const attributes = readAttributes(data, view);
  if (attributes === undefined) return undefined;
  const { values, integrityAt } = attributes;
  const mask = data.subarray(4, STUN_HEADER_BYTES);
  if (kindAndMethod === 'data') {
    const peer = addressIn(values.get(ATTRIBUTE_XOR_PEER_ADDRESS), mask);
    const payload = values.get(ATTRIBUTE_DATA);
    return peer === null || payload === undefined ? undefined : { kind: 'data', peer, data: payload };
  }
  return {
    ...kindAndMethod,
    transaction: Buffer.from(data.subarray(8, STUN_HEADER_BYTES)).toString('hex'),
    isProvedBy: (key) => integrityAt > 0 && isProved(data, integrityAt, key),
    code: errorCode(values.get(ATTRIBUTE_ERROR_CODE)),
    realm: text(values.get(ATTRIBUTE_REALM)),
    nonce: text(values.get(ATTRIBUTE_NONCE)),
    lifetime: wordIn(values.get(ATTRIBUTE_LIFETIME)),
    relayed: addressIn(values.get(ATTRIBUTE_XOR_RELAYED_ADDRESS), mask),
  };
}

function messageOf(type: number): 'data' | Pick<TurnResponse, 'kind' | 'method'> | undefined {
  if (type === DATA_INDICATION) return 'data';
  const number = type & 0x00f;
  const method = METHODS_BY_NUMBER.get(number);
  if (method === undefined) return undefined;
  if (type - number === CLASS_SUCCESS) return { kind: 'success', method };
  return type - number === CLASS_ERROR ? { kind: 'error', method } : undefined;
}

const METHODS_BY_NUMBER: ReadonlyMap<number, TurnMethod> = new Map([
  [TURN_METHODS.allocate, 'allocate'],
  [TURN_METHODS.refresh, 'refresh'],
  [TURN_METHODS.channelBind, 'channelBind'],
]);

interface Attributes {
  /** The first of each type counts (RFC 8489 §14). */
  values: Map<number, Uint8Array>;
  /** Where MESSAGE-INTEGRITY stands; 0: nowhere. */
  integrityAt: number;
}

function readAttributes(data: Uint8Array, view: DataView): Attributes | undefined {
  const values = new Map<number, Uint8Array>();
  let integrityAt = 0;
  let at = STUN_HEADER_BYTES;
  for (let count = 0; at < data.length; count++) {
    if (count === MAX_ATTRIBUTES || at + ATTRIBUTE_HEADER_BYTES > data.length) return undefined;
    const type = view.getUint16(at);
    const length = view.getUint16(at + 2);
    const value = at + ATTRIBUTE_HEADER_BYTES;
    const next = value + ((length + 3) & ~3);
    if (next > data.length) return undefined;
    if (type === ATTRIBUTE_FINGERPRINT) {
      if (length !== 4 || next !== data.length) return undefined;
      if (view.getUint32(value) !== fingerprint(data.subarray(0, at))) return undefined;
    } else if (integrityAt === 0) {
      if (type === ATTRIBUTE_MESSAGE_INTEGRITY) {
        if (length !== INTEGRITY_BYTES) return undefined;
        integrityAt = at;
      } else if (!values.has(type)) {
        values.set(type, data.subarray(value, value + length));
      }
    }
    at = next;
  }
  return { values, integrityAt };
}

function isProved(data: Uint8Array, integrityAt: number, key: Uint8Array): boolean {
  const message = Buffer.from(data.subarray(0, integrityAt));
  message.writeUInt16BE(integrityAt - STUN_HEADER_BYTES + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES, 2);
  const proof = createHmac('sha1', key).update(message).digest();
  const start = integrityAt + ATTRIBUTE_HEADER_BYTES;
  return timingSafeEqual(proof, data.subarray(start, start + INTEGRITY_BYTES));
}

function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(ATTRIBUTE_HEADER_BYTES + ((value.length + 3) & ~3));
  bytes.writeUInt16BE(type);
  bytes.writeUInt16BE(value.length, 2);
  bytes.set(value, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** RFC 8489 §14.2: zero u8, family u8, then port and address, each xor'd with the mask from its start. */
function addressValue({ ip, port }: Endpoint, mask: Uint8Array): Buffer {
  const all = ipToBytes(ip);
  const isIp6 = ip.includes(':');
  // ipToBytes gives IPv4 as a v4-mapped address.
  const address = isIp6 ? all : all.subarray(12);
  const bytes = Buffer.alloc(4 + address.length);
  bytes[1] = isIp6 ? FAMILY_IPV6 : FAMILY_IPV4;
  bytes[2] = (port >> 8) ^ (mask[0] ?? 0);
  bytes[3] = (port & 0xff) ^ (mask[1] ?? 0);
  for (const [index, byte] of address.entries()) bytes[4 + index] = byte ^ (mask[index] ?? 0);
  return bytes;
}

function addressIn(value: Uint8Array | undefined, mask: Uint8Array): Endpoint | null {
  return value === undefined ? null : readAddress(value, mask);
}

function wordIn(value: Uint8Array | undefined): number | null {
  if (value?.length !== 4) return null;
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0);
}

/** RFC 8489 §14.8: zero u16, class (hundreds) in the low three bits of a byte, number, reason. */
function errorCode(value: Uint8Array | undefined): number {
  if (value === undefined || value.length < 4) return 0;
  return ((value[2] ?? 0) & 7) * 100 + (value[3] ?? 0);
}

function text(value: Uint8Array | undefined): string | null {
  if (value === undefined || value.length > MAX_TEXT_BYTES) return null;
  // Both go back to the server as they came, whatever bytes they are.
  return Buffer.from(value).toString('latin1');
}
