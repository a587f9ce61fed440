import { resolve } from 'node:path';
import { convertFlat, isFlat } from './flat.ts';
import { check } from './issues.ts';
import { parseJson } from './json-text.ts';
import { ConfigProblems, type Problem } from './problem.ts';
import { readTextFile } from './read-file.ts';
import { resolveConfig } from './resolve.ts';
import { type NativeConfig, nativeConfig } from './schema.ts';
import { exposedProblem, holdsSecret, sourceProblem } from './secrets.ts';
import type { KithConfig } from './start.ts';

export interface LoadedConfig {
  readonly config: KithConfig;
  /** How the file is written; `flat` is IPOP 15.01's form. */
  readonly form: 'native' | 'flat';
  /** The config in its native form, as a person would write it. Holds the password if the file does. */
  readonly native: NativeConfig;
  /** Sentences for the owner of a flat file: what is taken otherwise than IPOP did. */
  readonly notices: readonly string[];
}

/**
 * Reads, checks and completes a config file of either form.
 * Throws ConfigError: CONFIG_FILE (cannot be read), CONFIG_DENIED (no right to), CONFIG_SYNTAX (not JSON), CONFIG_EXPOSED (others may read a secret),
 * CONFIG_INVALID (anything else; a ConfigProblems with every problem found).
 */
export function loadConfig(file: string, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  const { text, uid, gid, exposed } = readTextFile(file, '(file)');
  const written = parseJson(text, file);
  const problems: Problem[] = exposed && holdsSecret(written) ? [exposedProblem(file, '(file)')] : [];

  const flat = isFlat(written);
  const { native, notices, found } = flat
    ? fromFlat(written, file)
    : { native: written, notices: [], found: [] };
  problems.push(...found);
  const rename = flat ? flatPath : (path: string) => path;
  if (found.length === 0) {
    const checked = check(nativeConfig, native);
    const source = isRecord(native) ? sourceProblem(native.xmpp) : undefined;
    if (checked.ok && source === undefined) {
      const resolved = resolveConfig(checked.value, { file: resolve(file), uid, gid, env });
      if (!Array.isArray(resolved) && problems.length === 0) {
        // What passed the check is of the schema's input type.
        return { config: resolved, form: flat ? 'flat' : 'native', native: native as NativeConfig, notices };
      }
      if (Array.isArray(resolved))
        problems.push(...resolved.map((each) => ({ ...each, path: rename(each.path) })));
    } else {
      if (source !== undefined) problems.push(source);
      if (!checked.ok)
        problems.push(...checked.problems.map((each) => ({ ...each, path: rename(each.path) })));
    }
  }
  const onlyExposed =
    exposed && problems.length === 1 && problems[0]?.path === '(file)' && found.length === 0;
  throw new ConfigProblems(onlyExposed ? 'CONFIG_EXPOSED' : 'CONFIG_INVALID', file, problems);
}

function fromFlat(
  written: unknown,
  file: string,
): { native: unknown; notices: string[]; found: readonly Problem[] } {
  try {
    return { ...convertFlat(written, file), found: [] };
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error;
    return { native: undefined, notices: [], found: error.problems };
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

const FLAT_PATHS: readonly (readonly [native: RegExp, flat: string])[] = [
  [/^xmpp\.jid$/, 'xmpp_username'],
  [/^xmpp\.password$/, 'xmpp_password'],
  [/^xmpp\.server$/, 'xmpp_host'],
  [/^network\.(ip4|subnet)$/, 'ip4 and ip4_mask'],
  [/^network\.links\.idle_s$/, 'on-demand_inactive_timeout'],
  [/^security\.groups.*$/, 'group'],
  [/^ice\.(turn\[\d+\])\.username$/, '$1.user'],
  [/^ice\.(turn\[\d+\])\.password$/, '$1.pass'],
  [/^ice\./, ''],
];

/** What the owner of a flat file calls the key that the native form calls `path`. */
function flatPath(path: string): string {
  const rule = FLAT_PATHS.find(([native]) => native.test(path));
  return rule === undefined ? path : path.replace(...rule);
}
