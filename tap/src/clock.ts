import { hotClock } from '@kith/posix';

/** A monotonic clock in milliseconds that agrees in all threads of the process. */
export const threadClock = hotClock;
