import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigError } from '@kith/base';

/** Bytes of the largest file that is read whole; a config has two thousand, a bundle of all the web's authorities 220 000. */
const MAX_BYTES = 1024 * 1024;
/** Permission bits of group and others. */
const OTHERS = 0o077;

export interface ReadFile {
  readonly text: string;
  /** Owner. */
  readonly uid: number;
  readonly gid: number;
  /** Whether anyone but the owner may do anything with it. */
  readonly exposed: boolean;
}

/**
 * Reads a text file and, through the same descriptor, whom it belongs to: so that what was checked is what was read.
 * Throws ConfigError CONFIG_FILE or CONFIG_DENIED (no right to read it).
 */
export function readTextFile(path: string, field: string): ReadFile {
  try {
    const fd = openSync(path, 'r');
    try {
      const status = fstatSync(fd);
      if (!status.isFile()) throw new Error('it is not a regular file');
      if (status.size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
      const text = readFileSync(fd, 'utf8');
      return { text, uid: status.uid, gid: status.gid, exposed: (status.mode & OTHERS) !== 0 };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EACCES') {
      throw new ConfigError('CONFIG_DENIED', `cannot read ${path}: permission denied`, { field });
    }
    if (code === 'ENOENT')
      throw new ConfigError('CONFIG_FILE', `cannot read ${path}: there is no such file`, { field });
    throw new ConfigError('CONFIG_FILE', `cannot read ${path}`, { field, cause: error });
  }
}
