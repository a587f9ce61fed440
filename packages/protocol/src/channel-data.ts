/**
 * TURN's ChannelData (RFC 8656 §12.4), big-endian: channel number u16, length u16, data. Over UDP a sender need not pad it, but may.
 * Its first byte, 0x40 to 0x4F, is told from STUN's and our own datagrams' on the same socket (RFC 7983 §7, RFC 8656 §12).
 */
export const CHANNEL_DATA_HEADER_BYTES = 4;

/** RFC 8656 §12: the numbers that may be bound. */
export const MIN_CHANNEL = 0x4000;
export const MAX_CHANNEL = 0x4fff;

/** Whether a datagram begins as ChannelData does. */
export function isChannelData(data: Uint8Array): boolean {
  return ((data[0] ?? 0) & 0xf0) === 0x40;
}

/** `data` behind a header. The channel is one that was bound, the data at most 65 535 bytes. */
export function encodeChannelData(channel: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHANNEL_DATA_HEADER_BYTES + data.length);
  bytes.set([channel >> 8, channel & 0xff, data.length >> 8, data.length & 0xff]);
  bytes.set(data, CHANNEL_DATA_HEADER_BYTES);
  return bytes;
}

/** Channel and data, which share memory with `message`; undefined for what is none or names more bytes than there are. */
export function decodeChannelData(message: Uint8Array): { channel: number; data: Uint8Array } | undefined {
  if (message.length < CHANNEL_DATA_HEADER_BYTES || !isChannelData(message)) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, CHANNEL_DATA_HEADER_BYTES);
  const end = CHANNEL_DATA_HEADER_BYTES + view.getUint16(2);
  if (end > message.length) return undefined;
  return { channel: view.getUint16(0), data: message.subarray(CHANNEL_DATA_HEADER_BYTES, end) };
}
