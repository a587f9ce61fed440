import type { Problem } from './problem.ts';
import { readTextFile } from './read-file.ts';

/** Keys whose values are secrets, in the native and the flat form. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['password', 'pass', 'xmpp_password']);

/** Whether a secret stands anywhere in a config as written, be the rest of it right or wrong. */
export function holdsSecret(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, child]) => {
    return (SECRET_KEYS.has(key) && typeof child !== 'object') || holdsSecret(child);
  });
}

/** The problem of a file with a secret that others may read, with the command that mends it. */
export function exposedProblem(path: string, field: string): Problem {
  const quoted = /^[\w./@%+:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  return { path: field, message: `holds a secret and others may read it; mend it with: chmod 600 ${quoted}` };
}

/** The keys that say where the account's password is. */
export interface PasswordSource {
  password?: string;
  /** Absolute path. */
  password_file?: string;
  password_env?: string;
}

/** Whether exactly one source is named; says what to do when not. Looks at anything, so that it can speak beside other problems. */
export function sourceProblem(xmpp: unknown): Problem | undefined {
  if (typeof xmpp !== 'object' || xmpp === null || Array.isArray(xmpp)) return undefined;
  const named = ['password', 'password_file', 'password_env'].filter((key) => key in xmpp);
  if (named.length === 1) return undefined;
  const found = named.length === 0 ? 'none is' : `${named.join(' and ')} are`;
  return {
    path: 'xmpp.password',
    message: `exactly one of password, password_file, password_env is needed; ${found} set`,
  };
}

/** The password itself, or why it cannot be had. Throws ConfigError CONFIG_FILE when its file cannot be read. */
export function readPassword(source: PasswordSource, env: NodeJS.ProcessEnv): string | Problem {
  if (source.password !== undefined) return source.password;
  if (source.password_file !== undefined) {
    const field = 'xmpp.password_file';
    const { text, exposed } = readTextFile(source.password_file, field);
    if (exposed) return exposedProblem(source.password_file, field);
    const password = text.split(/\r?\n/, 1)[0] ?? '';
    return password === ''
      ? { path: field, message: `the first line of ${source.password_file} is empty` }
      : password;
  }
  const name = source.password_env ?? '';
  const password = env[name] ?? '';
  const message = `the environment variable ${name} is not set or empty`;
  return password === '' ? { path: 'xmpp.password_env', message } : password;
}
