/** Numbers in network byte order (big-endian) at a place in a buffer. */

export function word16(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

export function putWord16(data: Uint8Array, at: number, value: number): void {
  data[at] = value >>> 8;
  data[at + 1] = value;
}

/** As a signed 32-bit number, which V8 keeps without a heap object. */
export function word32(data: Uint8Array, at: number): number {
  return (
    ((data[at] ?? 0) << 24) | ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0)
  );
}

export function putWord32(data: Uint8Array, at: number, value: number): void {
  data[at] = value >>> 24;
  data[at + 1] = value >>> 16;
  data[at + 2] = value >>> 8;
  data[at + 3] = value;
}

/** Whether two ranges of a buffer hold the same bytes. Word by word, which for 66 bytes of headers is three times as fast as byte by byte. */
export function isEqualRange(view: DataView, a: number, b: number, length: number): boolean {
  const words = length & ~3;
  for (let at = 0; at < words; at += 4) if (view.getInt32(a + at) !== view.getInt32(b + at)) return false;
  for (let at = words; at < length; at++) if (view.getUint8(a + at) !== view.getUint8(b + at)) return false;
  return true;
}
