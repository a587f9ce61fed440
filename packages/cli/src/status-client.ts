import { connect } from 'node:net';
import { join } from 'node:path';
import { SystemError } from '@kith/base';
import { type StatusReport, statusReport } from '@kith/protocol';

/** A controller answers in a millisecond; one that needs this long hangs. */
const ANSWER_MS = 2000;
/** A report of a thousand links takes 400 KiB. */
const MAX_CHARS = 4 * 1024 * 1024;

/** The controller's status socket. */
export function statusSocket(runtimeDir: string): string {
  return join(runtimeDir, 'controller', 'status.sock');
}

/**
 * Asks a running controller for its status. Throws SystemError: STATUS_ABSENT (no controller listens), STATUS_DENIED (no right to
 * ask it), STATUS_SILENT (no answer within 2 s), STATUS_BROKEN (an answer that is none).
 */
export function requestStatus(path: string, answerMs: number = ANSWER_MS): Promise<StatusReport> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path);
    const timer = setTimeout(() => {
      fail('STATUS_SILENT', `the controller does not answer within ${answerMs / 1000} s`);
    }, answerMs);
    const fail = (code: string, message: string, cause?: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new SystemError(code, message, { field: path, cause }));
    };
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write('{"m":"status"}\n'));
    socket.on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end < 0) {
        if (text.length > MAX_CHARS) fail('STATUS_BROKEN', 'the answer of the controller does not end');
        return;
      }
      try {
        const report = statusReport.parse(JSON.parse(text.slice(0, end)));
        clearTimeout(timer);
        socket.destroy();
        resolve(report);
      } catch (error) {
        fail('STATUS_BROKEN', 'the answer of the controller is not a status report', error);
      }
    });
    socket.on('end', () => fail('STATUS_BROKEN', 'the controller closed the connection without an answer'));
    socket.on('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      if (code === 'EACCES') fail('STATUS_DENIED', `no right to use ${path}`, error);
      else fail('STATUS_ABSENT', `no controller listens on ${path}`, error);
    });
  });
}
