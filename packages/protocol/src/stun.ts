import { ipFromBytes } from './ip-text.ts';

/** RFC 8489 §5: fixed value of bytes 4 to 7, and the mask of XOR-MAPPED-ADDRESS. */
export const STUN_MAGIC_COOKIE = 0x2112_a442;
export const STUN_HEADER_BYTES = 20;
/** Type u16, length u16. */
export const ATTRIBUTE_HEADER_BYTES = 4;
export const STUN_TRANSACTION_BYTES = 12;

/** RFC 8489 §5: class bits C1 (0x100) and C0 (0x010) stand in the type of method Binding (0x001). */
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const BINDING_ERROR = 0x0111;

const ATTRIBUTE_MAPPED_ADDRESS = 0x0001;
const ATTRIBUTE_XOR_MAPPED_ADDRESS = 0x0020;
export const ATTRIBUTE_FINGERPRINT = 0x8028;
export const FAMILY_IPV4 = 1;
export const FAMILY_IPV6 = 2;

/** RFC 8489 §14.7: the CRC-32 is xor'd with "STUN". */
const FINGERPRINT_XOR = 0x5354_554e;
const FINGERPRINT_BYTES = 8;

/** A response holds a few attributes; more in one datagram is nonsense. */
export const MAX_ATTRIBUTES = 32;

export interface BindingResponse {
  /** 12 bytes, hex: what pairs a response with its request. */
  transaction: string;
  /** Our address as the server saw it; null when the server refused or said none. */
  mapped: { ip: string; port: number } | null;
}

/** A Binding request with a FINGERPRINT. `transaction` must be 12 unpredictable bytes: they are what keeps forgers out. */
export function encodeBindingRequest(transaction: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(STUN_HEADER_BYTES + FINGERPRINT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, BINDING_REQUEST);
  view.setUint16(2, FINGERPRINT_BYTES);
  view.setUint32(4, STUN_MAGIC_COOKIE);
  bytes.set(transaction.subarray(0, STUN_TRANSACTION_BYTES), 8);
  view.setUint16(STUN_HEADER_BYTES, ATTRIBUTE_FINGERPRINT);
  view.setUint16(STUN_HEADER_BYTES + 2, 4);
  view.setUint32(STUN_HEADER_BYTES + 4, fingerprint(bytes.subarray(0, STUN_HEADER_BYTES)));
  return bytes;
}

/**
 * Reads the response to a Binding request. Undefined for everything else: other messages, lengths that lie, a FINGERPRINT that is
 * wrong or not last.
 */
export function decodeBindingResponse(data: Uint8Array): BindingResponse | undefined {
  if (data.length < STUN_HEADER_BYTES) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const type = view.getUint16(0);
  if (type !== BINDING_SUCCESS && type !== BINDING_ERROR) return undefined;
  if (view.getUint32(4) !== STUN_MAGIC_COOKIE || STUN_HEADER_BYTES + view.getUint16(2) !== data.length)
    return undefined;
  let xorMapped: BindingResponse['mapped'] = null;
  let mapped: BindingResponse['mapped'] = null;
  let at = STUN_HEADER_BYTES;
  for (let count = 0; at < data.length; count++) {
    if (count === MAX_ATTRIBUTES || at + 4 > data.length) return undefined;
    const attribute = view.getUint16(at);
    const length = view.getUint16(at + 2);
    const value = at + 4;
    // RFC 8489 §14: values are padded to four bytes.
    const next = value + ((length + 3) & ~3);
    if (next > data.length) return undefined;
    if (attribute === ATTRIBUTE_FINGERPRINT) {
      if (length !== 4 || next !== data.length) return undefined;
      if (view.getUint32(value) !== fingerprint(data.subarray(0, at))) return undefined;
    } else if (attribute === ATTRIBUTE_XOR_MAPPED_ADDRESS) {
      xorMapped = readAddress(data.subarray(value, value + length), data.subarray(4, STUN_HEADER_BYTES));
    } else if (attribute === ATTRIBUTE_MAPPED_ADDRESS) {
      mapped = readAddress(data.subarray(value, value + length), new Uint8Array(16));
    }
    at = next;
  }
  return {
    transaction: Buffer.from(data.subarray(8, STUN_HEADER_BYTES)).toString('hex'),
    // A NAT that rewrites addresses in payloads spoils MAPPED-ADDRESS, so it counts only where a server knows nothing else.
    mapped: type === BINDING_SUCCESS ? (xorMapped ?? mapped) : null,
  };
}

/** RFC 8489 §14.1, §14.2: zero u8, family u8, port u16, address, both xor'd with the start of cookie and transaction. */
export function readAddress(value: Uint8Array, mask: Uint8Array): { ip: string; port: number } | null {
  const family = value[1];
  const bytes = family === FAMILY_IPV4 ? 4 : family === FAMILY_IPV6 ? 16 : 0;
  if (bytes === 0 || value.length !== 4 + bytes) return null;
  // Not slice: a Buffer's shares its memory, and the message must stay as it is for its fingerprint.
  const plain = Uint8Array.from(value.subarray(2));
  // Port and address are both masked from the start of the cookie.
  for (let i = 0; i < 2; i++) plain[i] = (plain[i] ?? 0) ^ (mask[i] ?? 0);
  for (let i = 0; i < bytes; i++) plain[2 + i] = (plain[2 + i] ?? 0) ^ (mask[i] ?? 0);
  const port = ((plain[0] ?? 0) << 8) | (plain[1] ?? 0);
  return port === 0 ? null : { ip: ipFromBytes(plain.subarray(2)), port };
}

/**
 * CRC-32 of ISO HDLC over the message up to the attribute, xor'd. The length field already counts the attribute (RFC 8489 §14.7),
 * as it stands in the message.
 */
export function fingerprint(message: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of message) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return (crc ^ 0xffff_ffff ^ FINGERPRINT_XOR) >>> 0;
}
