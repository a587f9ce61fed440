import { request } from 'node:http';
import { SystemError } from '@kith/base';

// A call takes about 10 ms; a server under load may be slow, one that hangs is a failure.
const CALL_TIMEOUT_MS = 10_000;

/**
 * Calls a command of ejabberd's API by its Unix socket, which, unlike a TCP port, is reachable from outside of the hub's
 * network namespace. Returns the parsed JSON answer; SystemError HUB_REFUSED carries what the server said.
 */
export function callApi(
  socketPath: string,
  command: string,
  args: Record<string, string | number>,
): Promise<unknown> {
  const body = JSON.stringify(args);
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(new SystemError('HUB_UNREACHABLE', `ejabberd ${command}: no answer`, { cause }));
    const call = request(
      {
        socketPath,
        path: `/api/${command}`,
        method: 'POST',
        // No keep-alive: a connection held open would keep the test's process from ending.
        agent: false,
        timeout: CALL_TIMEOUT_MS,
        headers: {
          host: 'localhost',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', fail);
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          if (answer.statusCode !== 200) {
            reject(
              new SystemError('HUB_REFUSED', `ejabberd ${command} ${body}: ${answer.statusCode} ${text}`),
            );
            return;
          }
          try {
            resolve(JSON.parse(text));
          } catch (cause) {
            reject(
              new SystemError('HUB_REFUSED', `ejabberd ${command}: answer is not JSON: ${text}`, { cause }),
            );
          }
        });
      },
    );
    call.on('error', fail);
    call.on('timeout', () => call.destroy(new Error(`nothing for ${CALL_TIMEOUT_MS} ms`)));
    call.end(body);
  });
}
