import { hotMemory } from './hot-memory.ts';
import { cClockGettime } from './libc.ts';

// linux/time.h
const CLOCK_MONOTONIC = 1;
/** struct timespec with 64-bit fields: seconds and nanoseconds. */
const TIMESPEC_BYTES = 16;
/** Where the low half of the nanoseconds stands, in 32-bit words; they are below 2^30. */
const NANOSECONDS = 2;

/**
 * A monotonic clock in milliseconds that agrees in all threads and processes of the machine. One call through the vDSO;
 * performance.now() runs a dozen functions of node's own, which a thread that has just woken finds in no cache.
 */
export function hotClock(): () => number {
  const { bytes, address } = hotMemory(TIMESPEC_BYTES);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, TIMESPEC_BYTES / 4);
  return function now() {
    cClockGettime(CLOCK_MONOTONIC, address);
    // The upper half of the seconds is zero for 136 years after a start.
    return (words[0] ?? 0) * 1000 + (words[NANOSECONDS] ?? 0) / 1e6;
  };
}
