import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { SystemError } from '@kith/base';
import { z } from 'zod';
import { startTimeOf } from './process-proof.ts';

const content = z.object({ pid: z.int().positive(), start_time: z.int().nonnegative() });

/** The process that a pid file names, if it still is that very process. */
export interface ProvenProcess {
  readonly pid: number;
  readonly startTime: number;
}

/** Reads a pid file; undefined when there is none, it is damaged, or the process that wrote it has ended. */
export function readPidFile(path: string): ProvenProcess | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const { success, data } = content.safeParse(parseOrUndefined(text));
  if (!success || startTimeOf(data.pid) !== data.start_time) return undefined;
  return { pid: data.pid, startTime: data.start_time };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Tries of a lock whose file another holder removes at the same moment; more than one in a row is next to impossible. */
const LOCK_TRIES = 10;

/**
 * A pid file that is also the lock of its network. The lock is flock(2) on the open file: the kernel drops it however the holder
 * ends, so a stale file needs no judgement and two starts at once cannot both win.
 */
export class PidFile {
  readonly #path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** Takes the lock and writes this process into the file; undefined when another process holds it. Throws SystemError PID_FILE. */
  static take(path: string): PidFile | undefined {
    try {
      for (let tries = 0; tries < LOCK_TRIES; tries++) {
        const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o644);
        if (!lock(fd)) {
          closeSync(fd);
          return undefined;
        }
        // A holder that ends removes the file; the lock of a file without a name guards nothing.
        const named = statSync(path, { throwIfNoEntry: false });
        if (named?.ino === fstatSync(fd).ino) {
          const start_time = startTimeOf(process.pid);
          ftruncateSync(fd);
          writeSync(fd, `${JSON.stringify({ pid: process.pid, start_time })}\n`, 0);
          return new PidFile(path, fd);
        }
        closeSync(fd);
      }
      throw new Error('the file keeps vanishing');
    } catch (error) {
      throw new SystemError('PID_FILE', `cannot lock ${path}`, { cause: error });
    }
  }

  /** Removes the file, then gives up the lock. */
  release(): void {
    unlinkSync(this.#path);
    closeSync(this.#fd);
  }
}

/**
 * Node has no flock(2), so flock(1) of util-linux takes the lock for us: it belongs to the open file description, which the helper
 * only borrows (flock(2), NOTES), and stays when the helper ends.
 */
function lock(fd: number): boolean {
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  if (error !== undefined) throw error;
  return status === 0;
}
