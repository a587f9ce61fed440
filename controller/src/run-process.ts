import { createLogger, describeError, type Logger, readStartDocument, watchParent } from '@kith/base';
import type { ControllerStart } from '@kith/config';
import { dropPrivileges } from './privileges.ts';

const EXIT_FAILED = 1;

/** What every start document of a process without rights says. */
type Start = Pick<ControllerStart, 'log_level' | 'run_as'>;

/**
 * To be called once, as soon as there is something to end: `stop` runs on SIGTERM and SIGINT, and when the supervisor is gone. `onNews`
 * is called when the supervisor has started another process or one of its has died.
 */
export type EndWith = (stop: () => Promise<void>, onNews?: () => void) => void;

/**
 * The life of a process without rights: takes its start document, drops root's rights, works until it is told to end. A fault
 * before that is logged and ends it with code 1.
 * @param parse throws a KithError for a document that is none
 */
export async function runProcess<S extends Start>(
  name: string,
  parse: (text: string) => S,
  work: (start: S, log: Logger, endWith: EndWith) => Promise<void>,
): Promise<void> {
  let log = createLogger(name, 'info');
  try {
    const start = parse(await readStartDocument());
    log = createLogger(name, start.log_level);
    // All modules are loaded by now; from here on nothing needs root, and nothing of the network was touched yet (WALL 2).
    dropPrivileges(start.run_as);
    await work(start, log, (stop, onNews) => endOnce(stop, onNews, log));
  } catch (error) {
    log.error({ err: error }, describeError(error));
    process.exit(EXIT_FAILED);
  }
}

function endOnce(stop: () => Promise<void>, onNews: (() => void) | undefined, log: Logger): void {
  let isEnding = false;
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    stop()
      .catch((error: unknown) => log.error({ err: error }, `ending: ${describeError(error)}`))
      .finally(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  watchParent(() => {
    log.warn('the supervisor is gone');
    end();
  }, onNews);
}
