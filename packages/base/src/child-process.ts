import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SystemError } from './errors.ts';
import { Timers } from './timers.ts';

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

/**
 * How often a child says on the pipe to its supervisor that its event loop goes round: whoever stands still (a deadlock in a library of
 * native code, an endless loop) answers nobody any more, and only ends when somebody ends it.
 */
export const BEAT_MS = 5_000;

/**
 * Calls `onGone` once when the supervisor has ended in whatever way, kill -9 included, and tells it each BEAT_MS that this process lives.
 * Calls `onNews` when the supervisor has started another child, or one has died. Does nothing where none is named.
 */
export function watchParent(onGone: () => void, onNews: () => void = () => undefined): void {
  const fd = Number(process.env[PARENT_FD_VARIABLE]);
  if (!Number.isInteger(fd) || fd < 3) return;
  let gone = false;
  const timers = new Timers();
  const once = () => {
    if (gone) return;
    gone = true;
    timers.clearAll();
    onGone();
  };
  // What is read says no more than that there is news. A file stream would park a pool thread in a blocking read, which process.exit()
  // waits for; a socket is polled.
  const socket = new Socket({ fd, readable: true, writable: true })
    .on('end', once)
    .on('error', once)
    .on('data', onNews);
  const beat = (): void => {
    // One that is not read is not written on: what waits would only grow.
    if (socket.writable && socket.writableLength === 0) socket.write('.');
  };
  beat();
  timers.every('beat', BEAT_MS, beat);
}
