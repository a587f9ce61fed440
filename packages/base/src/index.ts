export { ApiSockets } from './api-sockets.ts';
export { type BackoffPolicy, backoffMs } from './backoff.ts';
export { calmMoment, EARLY_MS, idleMoment, nextGridMoment } from './calm-grid.ts';
export { BEAT_MS, PARENT_FD_VARIABLE, readStartDocument, watchParent } from './child-process.ts';
export { COMPILE_LATE, compileEarly, compileLate } from './compile-times.ts';
export {
  BugError,
  ConfigError,
  describeError,
  type Fault,
  KithError,
  type KithErrorOptions,
  PeerError,
  SystemError,
} from './errors.ts';
export { createLogger, LOG_LEVELS, type Logger, type LogLevel } from './log.ts';
export { SLOW_ADDRESSES } from './slow-addresses.ts';
export { monotonicMs, Timers } from './timers.ts';
