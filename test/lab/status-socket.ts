import { connect } from 'node:net';
import { SystemError } from '@kith/base';
import { type StatusReport, statusReport } from '@kith/protocol';

// As long as `kith status` itself waits.
const ANSWER_TIMEOUT_MS = 2000;

/**
 * Asks a controller for its status by its Unix socket, as `kith status --json` does, but without the 100 ms and more
 * that starting a process costs: fit for polling. SystemError STATUS_UNREACHABLE while it does not run.
 */
export function askStatus(socketPath: string): Promise<StatusReport> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      socket.destroy();
      reject(new SystemError('STATUS_UNREACHABLE', `${socketPath}: no status`, { cause }));
    };
    const socket = connect(socketPath, () => socket.write('{"m":"status"}\n'));
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail(new Error(`nothing for ${ANSWER_TIMEOUT_MS} ms`)));
    socket.on('error', fail);
    socket.on('end', () => fail(new Error('closed without an answer')));
    socket.on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end < 0) return;
      socket.destroy();
      try {
        resolve(statusReport.parse(JSON.parse(text.slice(0, end))));
      } catch (cause) {
        fail(cause);
      }
    });
  });
}
