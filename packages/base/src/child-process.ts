import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SystemError } from './errors.ts';

/** A start document is a few kilobytes; this bounds what a child reads before it can judge. */
const MAX_START_CHARS = 1_048_576;

/** Environment variable in which a supervisor names the descriptor whose end of file means that the supervisor is gone. */
export const PARENT_FD_VARIABLE = 'KITH_PARENT_FD';

/**
 * The start document that the supervisor writes to a child's standard input.
 * @throws SystemError START_DOCUMENT_TOO_LONG.
 */
export async function readStartDocument(): Promise<string> {
  const document = await text(process.stdin);
  if (document.length > MAX_START_CHARS) {
    throw new SystemError(
      'START_DOCUMENT_TOO_LONG',
      `the start document exceeds ${MAX_START_CHARS} characters`,
    );
  }
  return document;
}

/** Calls `onGone` once when the supervisor has ended in whatever way, kill -9 included. Does nothing where none is named. */
export function watchParent(onGone: () => void): void {
  const fd = Number(process.env[PARENT_FD_VARIABLE]);
  if (!Number.isInteger(fd) || fd < 3) return;
  let gone = false;
  const once = () => {
    if (gone) return;
    gone = true;
    onGone();
  };
  // The pipe never carries data: it only ends. A file stream would park a pool thread in a blocking read, which process.exit() waits
  // for; a socket is polled.
  new Socket({ fd, readable: true, writable: false }).on('end', once).on('error', once).resume();
}
