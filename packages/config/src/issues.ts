import type { z } from 'zod';
import { describeKeys, nearestKey } from './keys.ts';
import type { Problem } from './problem.ts';

/** Longest piece of a wrong value that a message repeats; enough to find it again in the file. */
const SHOWN_CHARS = 60;
/** Unknown keys that are named; a file of another kind altogether has hundreds. */
const MAX_UNKNOWN_KEYS = 20;

const SECRET_KEY = /pass|secret|token/i;
/** Keys whose values have an @ by nature. In any other, what stands before an @ may be a password. */
const NAME_KEY = /^(jid|username|user|xmpp_username)$/;

/** Checks `value` against an object schema of this package; gives the parsed value, or all problems in the schema's words. */
export function check<T>(
  schema: z.ZodType<T>,
  value: unknown,
): { ok: true; value: T } | { ok: false; problems: Problem[] } {
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  const paths = describeKeys(schema).map((key) => key.path);
  return { ok: false, problems: result.error.issues.flatMap((issue) => problemsOf(issue, value, paths)) };
}

function problemsOf(issue: z.core.$ZodIssue, whole: unknown, paths: readonly string[]): Problem[] {
  const path = dotted(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const parent = issue.path.map((part) => (typeof part === 'number' ? '[]' : String(part)));
    const parentPath = parent.join('.').replaceAll('.[]', '[]');
    return issue.keys.slice(0, MAX_UNKNOWN_KEYS).map((key) => {
      const near = nearestKey(paths, parentPath, key);
      const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
      return { path: dotted([...issue.path, clip(key)]), message: `is not a key of a Kith config${hint}` };
    });
  }
  // Of a record's key that is not right, the key itself is the value.
  if (issue.code === 'invalid_key') {
    return [{ path, message: `is not right; expected ${issue.issues[0]?.message ?? issue.message}` }];
  }
  const value = issue.path.reduce<unknown>(child, whole);
  if (value === undefined) return [{ path, message: `is missing; expected ${issue.message}` }];
  const container = issue.code === 'invalid_type' && /^(object|array|tuple|record)$/.test(issue.expected);
  const shown = container ? kindOf(value) : showValue(issue.path.at(-1), value);
  return [{ path, message: `is ${shown}; expected ${issue.message}` }];
}

function child(parent: unknown, key: PropertyKey): unknown {
  return typeof parent === 'object' && parent !== null ? Reflect.get(parent, key) : undefined;
}

function dotted(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`));
  return parts.length === 0 ? '(file)' : parts.join('').replace(/^\./, '');
}

/** A value as a message may repeat it: never a secret, never long, never with characters that move a terminal's cursor. */
export function showValue(key: PropertyKey | undefined, value: unknown): string {
  const name = String(key ?? '');
  if (typeof value === 'string') {
    const hidden = SECRET_KEY.test(name) || (value.includes('@') && !NAME_KEY.test(name));
    return hidden ? 'a value that is not shown' : clip(JSON.stringify(value));
  }
  if (SECRET_KEY.test(name) && typeof value === 'number') return 'a number that is not shown';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'text' : `a ${typeof value}`;
}

function clip(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal.
  const safe = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return safe.length > SHOWN_CHARS ? `${safe.slice(0, SHOWN_CHARS)}…` : safe;
}
