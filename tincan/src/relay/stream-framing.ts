/** RFC 8489 §5: a STUN message has a header of 20 bytes; its length field counts what follows, in steps of four. */
export const STUN_HEADER_BYTES = 20;
/** RFC 8656 §12.4: channel number and length. */
const CHANNEL_HEADER_BYTES = 4;

/** The largest UDP datagram by IPv4: what came as one must leave as one. */
export const MAX_DATAGRAM_BYTES = 65_507;

/** RFC 8656 §12: channel numbers 0x4000 to 0x4fff tell ChannelData from STUN by the first byte (RFC 7983 §7). */
function isChannelData(first: number): boolean {
  return first >= 0x40 && first <= 0x4f;
}

/**
 * Bytes of the message whose first four bytes are at `at`, without padding; undefined when none begins so. `data` must hold those four
 * bytes.
 */
function messageBytes(data: Uint8Array, at: number): number | undefined {
  const first = data[at] ?? 0xff;
  const length = ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
  if (first < 0x40) return length % 4 === 0 ? STUN_HEADER_BYTES + length : undefined;
  return isChannelData(first) ? CHANNEL_HEADER_BYTES + length : undefined;
}

/** RFC 8656 §12.5: on a stream ChannelData is padded to four bytes, which its length does not count. */
function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}

/**
 * A datagram of a TURN client as it goes on a stream: as it is, ChannelData padded. Undefined for what is neither STUN nor ChannelData
 * or lies about its length: it would end the stream's framing for good.
 */
export function toStream(datagram: Uint8Array): Uint8Array | undefined {
  if (datagram.length < CHANNEL_HEADER_BYTES) return undefined;
  const bytes = messageBytes(datagram, 0);
  if (bytes === undefined || bytes > datagram.length) return undefined;
  if (!isChannelData(datagram[0] ?? 0)) return bytes === datagram.length ? datagram : undefined;
  // A sender may have padded it already (RFC 8656 §12.5); anything longer is something else.
  const size = padded(bytes);
  if (datagram.length === size) return datagram;
  if (datagram.length > size) return undefined;
  const framed = new Uint8Array(size);
  framed.set(datagram.subarray(0, bytes));
  return framed;
}

/** Cuts a TURN server's stream into messages; holds at most one message that is not complete. */
export class Deframer {
  readonly #message: (message: Uint8Array) => void;
  #rest: Uint8Array = new Uint8Array(0);

  /** @param message called with each message, ChannelData without padding; its bytes are valid during the call only */
  constructor(message: (message: Uint8Array) => void) {
    this.#message = message;
  }

  /** False when the stream carries something else than STUN and ChannelData: nothing can be read from it any more. */
  push(chunk: Uint8Array): boolean {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (data.length - at >= CHANNEL_HEADER_BYTES) {
      const bytes = messageBytes(data, at);
      if (bytes === undefined || bytes > MAX_DATAGRAM_BYTES) return false;
      if (data.length - at < padded(bytes)) break;
      this.#message(data.subarray(at, at + bytes));
      at += padded(bytes);
    }
    // A copy: the chunk's memory is the socket's.
    this.#rest = Uint8Array.from(data.subarray(at));
    return true;
  }
}
