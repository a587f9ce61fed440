/**
 * The header that every datagram of the direct carrier begins with (DESIGN §6), big-endian:
 *
 *      0     1      2       4                 8          16
 *      type  flags  zero    receiver index    counter    body ... 16-byte tag
 *
 * Types begin at 0xC0, so that STUN, whose first byte is 0 to 3, can share the socket (RFC 7983 §7).
 */
export const DATAGRAM_HEADER_BYTES = 16;
export const DATAGRAM_TAG_BYTES = 16;

export const DATAGRAM_SEALED = 0xc0;
export const DATAGRAM_PLAIN = 0xc1;
export const DATAGRAM_PROBE = 0xc2;
export const DATAGRAM_PROBE_REPLY = 0xc3;

/** Writes the header; the counter is a safe integer, which 2^53 datagrams of one key never reach. */
export function writeDatagramHeader(target: Uint8Array, type: number, index: number, counter: number): void {
  const view = new DataView(target.buffer, target.byteOffset, DATAGRAM_HEADER_BYTES);
  view.setUint32(0, type << 24);
  view.setUint32(4, index);
  view.setUint32(8, Math.floor(counter / 0x1_0000_0000));
  view.setUint32(12, counter >>> 0);
}

export interface DatagramHeader {
  type: number;
  index: number;
  counter: number;
}

/**
 * Reads a header; undefined when the datagram is too short for header and tag, when flags or the zero field are set (they are kept
 * for a later version), or when the counter is beyond what a number holds exactly, which no honest sender reaches.
 */
export function readDatagramHeader(data: Uint8Array): DatagramHeader | undefined {
  if (data.length < DATAGRAM_HEADER_BYTES + DATAGRAM_TAG_BYTES) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, DATAGRAM_HEADER_BYTES);
  const first = view.getUint32(0);
  const counter = view.getUint32(8) * 0x1_0000_0000 + view.getUint32(12);
  if ((first & 0x00ff_ffff) !== 0 || counter > Number.MAX_SAFE_INTEGER) return undefined;
  return { type: first >>> 24, index: view.getUint32(4), counter };
}
