import { type ChildProcess, spawn } from 'node:child_process';
import { SystemError } from '@kith/base';

export interface CommandResult {
  stdout: string;
  stderr: string;
  /** Exit code; 128 + signal number when a signal ended it, as a shell reports it. */
  code: number;
}

export interface CommandOptions {
  /** Milliseconds until the command is killed and the call fails with COMMAND_TIMEOUT. */
  timeoutMs?: number;
  /** Written to standard input, which is closed afterwards in any case. */
  input?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

// Long enough for everything a lab does by one command, short enough that a hanging test names its culprit.
const DEFAULT_TIMEOUT_MS = 30_000;
// A command that prints more than this is a test gone wrong; what it printed first says why.
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Runs a command to its end and returns what it said. A non-zero exit is a result, not an error. */
export function execute(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const line = [command, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: 'pipe',
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // A descendant may hold the pipes open, and then 'close' would never come.
      child.stdout.destroy();
      child.stderr.destroy();
      reject(
        new SystemError(
          'COMMAND_TIMEOUT',
          `${line}: not finished after ${timeoutMs} ms\n${stdout()}${stderr()}`,
        ),
      );
    }, timeoutMs);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new SystemError('COMMAND_NOT_STARTED', `${line}: cannot be started`, { cause }));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ stdout: stdout(), stderr: stderr(), code: exitCode(code, signal) });
    });
    // A command may end without reading its input (EPIPE); its exit code tells the story.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** Runs a command that must succeed and returns its standard output; otherwise SystemError COMMAND_FAILED with all it said. */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await execute(command, args, options);
  if (result.code !== 0) {
    const said = `${result.stdout}${result.stderr}`.trim();
    throw new SystemError(
      'COMMAND_FAILED',
      `${[command, ...args].join(' ')}: exit code ${result.code}${said === '' ? '' : `: ${said}`}`,
    );
  }
  return result.stdout;
}

/** Resolves with the exit code once the process has ended, also when it ended before the call. */
export function ended(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve(exitCode(child.exitCode, child.signalCode));
  }
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(exitCode(code, signal)));
  });
}

function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  // Only SIGKILL (9), SIGTERM (15) and SIGINT (2) are ever sent here; others need no exact number.
  const number = signal === 'SIGKILL' ? 9 : signal === 'SIGTERM' ? 15 : signal === 'SIGINT' ? 2 : 0;
  return code ?? 128 + number;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const parts: Buffer[] = [];
  let size = 0;
  stream.on('data', (part: Buffer) => {
    if (size < MAX_OUTPUT_BYTES) parts.push(part);
    size += part.length;
  });
  return () => Buffer.concat(parts).toString('utf8');
}
