import { connect } from 'node:net';
import { join } from 'node:path';
import { SystemError } from '@kith/base';
import { type StatusReport, statusReport, trustRefusal } from '@kith/protocol';

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
export function requestStatus(
  path: string,
  answerMs: number = ANSWER_MS,
  eventsOf?: string,
): Promise<StatusReport> {
  const events = eventsOf === undefined ? {} : { events: eventsOf };
  return ask(path, { m: 'status', ...events }, statusReport, answerMs);
}

/**
 * Asks a running controller one question and reads its answer. Throws what `requestStatus` does, and SystemError with the
 * controller's own code and words where it says that it cannot do what was asked.
 */
export function ask<T>(
  path: string,
  question: object,
  answer: { parse(value: unknown): T },
  answerMs: number,
): Promise<T> {
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
    socket.on('connect', () => socket.write(`${JSON.stringify(question)}\n`));
    socket.on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end < 0) {
        if (text.length > MAX_CHARS) fail('STATUS_BROKEN', 'the answer of the controller does not end');
        return;
      }
      try {
        const said: unknown = JSON.parse(text.slice(0, end));
        const refusal = trustRefusal.safeParse(said);
        if (refusal.success) {
          fail(refusal.data.code, refusal.data.error);
          return;
        }
        const report = answer.parse(said);
        clearTimeout(timer);
        socket.destroy();
        resolve(report);
      } catch (error) {
        fail('STATUS_BROKEN', 'the answer of the controller makes no sense', error);
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
