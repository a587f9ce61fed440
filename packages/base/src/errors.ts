/**
 * Who has to act on an error: the person who wrote the config, the other node, this machine, or us.
 */
export type Fault = 'config' | 'peer' | 'system' | 'bug';

export interface KithErrorOptions extends ErrorOptions {
  /** Path of the offending key, field or file, where there is one, e.g. `xmpp.password_file`. */
  field?: string | undefined;
}

/** Base of all errors that Kith raises on purpose. `code` is stable and fit for scripts; `message` is for people. */
export abstract class KithError extends Error {
  abstract readonly fault: Fault;
  readonly code: string;
  readonly field: string | undefined;

  constructor(code: string, message: string, options: KithErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = new.target.name;
    this.code = code;
    this.field = options.field;
  }
}

/** What the user wrote (config file, command line) cannot be used as it stands. */
export class ConfigError extends KithError {
  readonly fault = 'config';
}

/** Another party (peer node, XMPP server, API client) sent what it must not. */
export class PeerError extends KithError {
  readonly fault = 'peer';
}

/** The machine refused: a system call, a file, a missing device or right. */
export class SystemError extends KithError {
  readonly fault = 'system';
}

/** A state that our own code promised never to reach. */
export class BugError extends KithError {
  readonly fault = 'bug';
}

/** The message of anything that was thrown, with the messages of its causes behind it. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  // Eight links of a cause chain say all that a person wants to know, and bound a chain that loops.
  for (let depth = 0; depth < 8 && current !== undefined; depth++) {
    parts.push(current instanceof Error ? current.message : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(': ');
}
