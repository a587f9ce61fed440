import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { describeError, SystemError } from '@kith/base';
import type { KithConfig, Owner } from '@kith/config';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Makes the directories of a network: state and runtime directory for root (0755, all may pass), in each a `controller` for the
 * controller's user alone (0700). Throws SystemError DIRECTORY.
 */
export function makeDirectories(
  { process: { state_dir, runtime_dir } }: KithConfig,
  controller: Owner,
): void {
  for (const directory of [state_dir, runtime_dir]) {
    makeForRoot(directory);
    makeFor(controller, join(directory, 'controller'));
  }
}

/**
 * Root keeps its key and its sockets here, so nobody else may be able to put something in their place. A directory that is there
 * already is judged, not changed: it may be one that others need as it is.
 */
export function makeForRoot(path: string): void {
  opened(path, 0o755, (fd) => {
    const { uid, mode } = fstatSync(fd);
    if (uid !== process.geteuid?.() || (mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new Error(`others may write there; mend it with: chown root ${path} && chmod 755 ${path}`);
    }
  });
}

function makeFor({ uid, gid }: Owner, path: string): void {
  opened(path, 0o700, (fd) => {
    const before = fstatSync(fd).uid;
    fchownSync(fd, uid, gid);
    fchmodSync(fd, 0o700);
    // Another user than last time: what the controller remembers must be its own again, or it would start without memory.
    if (before !== uid)
      for (const name of readdirSync(path)) giveFile(join(path, name), before, { uid, gid });
  });
}

/**
 * Gives a plain file to another owner. The directory was writable for `from`, so nothing but a plain file of its own, by its only
 * name, may change hands: a link would let it point at somebody else's.
 */
function giveFile(path: string, from: number, to: Owner): void {
  const fd = openSync(path, OPEN_FILE);
  try {
    const stat = fstatSync(fd);
    if (stat.isFile() && stat.nlink === 1 && stat.uid === from) fchownSync(fd, to.uid, to.gid);
  } finally {
    closeSync(fd);
  }
}

/** Makes a directory where there is none, and works on the very one that was opened: a link in its place is refused. */
function opened(path: string, mode: number, work: (fd: number) => void): void {
  try {
    mkdirSync(path, { recursive: true, mode });
    const fd = openSync(path, OPEN_DIRECTORY);
    try {
      work(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new SystemError('DIRECTORY', `cannot use the directory ${path}: ${describeError(error)}`, {
      field: path,
    });
  }
}
