import { word16 } from './wire-bytes.ts';

/** The sum of RFC 1071 over `length` bytes, not folded: below 2^53 for any frame. An odd last byte counts as the high one of a word. */
export function sumWords(data: Uint8Array, at: number, length: number): number {
  let sum = 0;
  const even = at + (length & ~1);
  for (let index = at; index < even; index += 2) sum += word16(data, index);
  return (length & 1) === 0 ? sum : sum + ((data[even] ?? 0) << 8);
}

/** Folds a sum to 16 bits in ones' complement arithmetic. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** The checksum field over a range: the complement of its folded sum. */
export function checksum(data: Uint8Array, at: number, length: number): number {
  return ~foldSum(sumWords(data, at, length)) & 0xffff;
}
