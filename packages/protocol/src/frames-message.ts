/**
 * A message of the `frames` data channel (the `channel` carrier). Big-endian.
 *
 *      0              6
 *      sequence u48   records: { length u16, frame } ...
 *
 * Several frames that wait for the same link share a message, because SCTP's cost is per message. The sequence number starts at 1
 * per link attempt; the receiver grants numbers by `credit` on the control channel, which bounds what can pile up in its process.
 */
export const FRAMES_HEADER_BYTES = 6;
export const FRAME_RECORD_BYTES = 2;

/** Smallest Ethernet frame that means anything: two MACs and an EtherType. */
export const MIN_FRAME_BYTES = 14;

export function writeFramesHeader(target: Uint8Array, sequence: number): void {
  // Two writes of 16 and 32 bits; 2^48 messages outlast any link.
  const high = Math.floor(sequence / 0x1_0000_0000);
  target[0] = high >>> 8;
  target[1] = high;
  target[2] = sequence >>> 24;
  target[3] = sequence >>> 16;
  target[4] = sequence >>> 8;
  target[5] = sequence;
}

/** The sequence number of a message, or -1 when it is too short to have one. */
export function readFramesSequence(message: Uint8Array): number {
  if (message.length < FRAMES_HEADER_BYTES) return -1;
  const view = new DataView(message.buffer, message.byteOffset, FRAMES_HEADER_BYTES);
  return view.getUint16(0) * 0x1_0000_0000 + view.getUint32(2);
}

/**
 * Calls `onFrame(message, offset, length)` for each frame of a message. Returns the number of frames, or -1 when a record lies about
 * its length; frames before the lie have been delivered, since each is complete in itself.
 */
export function forEachFrame(
  message: Uint8Array,
  onFrame: (message: Uint8Array, offset: number, length: number) => void,
): number {
  let offset = FRAMES_HEADER_BYTES;
  let count = 0;
  while (offset < message.length) {
    if (offset + FRAME_RECORD_BYTES > message.length) return -1;
    // Both indices were checked against the length above.
    const length = ((message[offset] ?? 0) << 8) | (message[offset + 1] ?? 0);
    offset += FRAME_RECORD_BYTES;
    if (length < MIN_FRAME_BYTES || offset + length > message.length) return -1;
    onFrame(message, offset, length);
    offset += length;
    count++;
  }
  return count;
}
