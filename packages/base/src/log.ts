import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A structured logger: one JSON object per line on standard output, which the supervisor collects. */
export function createLogger(name: string, level: LogLevel, destination?: DestinationStream): Logger {
  const options = { name, level, base: { name }, timestamp: stdTimeFunctions.isoTime };
  // Synchronous: pino's buffered destination retries EPIPE for ever at exit, so a child whose supervisor was killed would never end.
  return pino(options, destination ?? pino.destination({ dest: 1, sync: true }));
}
