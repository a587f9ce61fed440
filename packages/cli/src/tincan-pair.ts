import { type ChildProcess, spawn } from 'node:child_process';
import { COMPILE_LATE, describeError, PARENT_FD_VARIABLE } from '@kith/base';
import { type GatewayStart, type TincanStart, tincanListening } from '@kith/config';
import { GATEWAY_MAIN } from '@kith/controller';
import { TINCAN_MAIN } from '@kith/tincan';

/** The descriptor whose end of file tells a process that this command is gone, however that ended. */
const PARENT_FD = 3;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Runs tincan, and once it serves its API the gateway before that, until a signal comes or one of them ends; then both end. The logs of
 * both go to standard output.
 * @param gatewayStart the gateway's start document, from the port that tincan serves
 * @returns why they ended, undefined when that was wanted
 */
export async function runTincanPair(
  tincanStart: TincanStart,
  gatewayStart: (tincanPort: number) => GatewayStart,
): Promise<string | undefined> {
  const children: ChildProcess[] = [];
  const ends: Promise<void>[] = [];
  let failure: string | undefined;
  let ending = false;
  const end = (): void => {
    ending = true;
    for (const child of children) child.kill('SIGTERM');
  };
  const begin = (name: string, main: string, document: object, more: readonly 'ipc'[]): ChildProcess => {
    const child = start(main, document, more);
    children.push(child);
    ends.push(
      ended(child).then((how) => {
        // Who ends first says why; the other one ends because of it.
        if (!ending || how !== undefined) failure ??= `${name} ${how ?? 'ended'}`;
        end();
      }),
    );
    return child;
  };

  // Not in this process: node-datachannel and the TAP workers may end theirs, and its log has standard output for itself.
  const tincan = begin('tincan', TINCAN_MAIN, tincanStart, ['ipc']);
  tincan.on('message', (raw) => {
    const { data } = tincanListening.safeParse(raw);
    if (data === undefined || ending) return;
    try {
      begin('the gateway', GATEWAY_MAIN, gatewayStart(data.port), []);
    } catch (error) {
      failure ??= describeError(error);
      end();
    }
  });
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    // The gateway's comes to them later; when tincan ends nothing more comes.
    for (let awaited = 0; awaited < ends.length; awaited++) await ends[awaited];
    return failure;
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
}

function start(main: string, document: object, more: readonly 'ipc'[]): ChildProcess {
  const child = spawn(process.execPath, [COMPILE_LATE, main], {
    cwd: '/',
    env: { ...process.env, [PARENT_FD_VARIABLE]: String(PARENT_FD) },
    stdio: ['pipe', 'inherit', 'inherit', 'pipe', ...more],
  });
  // A child that dies before it has read its document breaks the pipe; its end is reported as such.
  child.stdin?.on('error', () => {});
  // What it says of its life is of no use to a command that a person watches.
  child.stdio[PARENT_FD]?.on('error', () => {}).on('data', () => {});
  child.stdin?.end(JSON.stringify(document));
  return child;
}

/** How it ended; undefined: well. */
function ended(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(`could not be started: ${error.message}`));
    child.on('exit', (code, signal) => {
      // A process that has only just been started has no handler for SIGTERM yet.
      const isWell = code === 0 || signal === 'SIGTERM';
      resolve(isWell ? undefined : `ended ${signal === null ? `with code ${code}` : `by ${signal}`}`);
    });
  });
}
