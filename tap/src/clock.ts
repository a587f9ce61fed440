/**
 * A monotonic clock in milliseconds that agrees in all threads of the process. performance.now() counts from the start of its
 * thread; hrtime is the same everywhere but returns a new array, so their difference is taken once.
 */
export function threadClock(): () => number {
  const [seconds, nanoseconds] = process.hrtime();
  const origin = seconds * 1000 + nanoseconds / 1e6 - performance.now();
  return () => origin + performance.now();
}
