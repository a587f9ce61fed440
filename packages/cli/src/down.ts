import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { monotonicMs } from '@kith/base';
import { locateNetwork } from '@kith/config';
import { CommandFailure, EXIT } from './exit-codes.ts';
import { readPidFile } from './pid-file.ts';
import { startTimeOf } from './process-proof.ts';
import { PID_FILE } from './supervisor.ts';

/** A supervisor gives its processes 5 s before it kills them; the rest is for itself. */
const END_MS = 10_000;
const POLL_MS = 20;

/** `kith down`: ends a running network and waits until it is gone. */
export async function down(file: string, print: (line: string) => void): Promise<void> {
  const { name, runtime_dir } = locateNetwork(file);
  const running = readPidFile(join(runtime_dir, PID_FILE));
  if (running === undefined) throw new CommandFailure(EXIT.notRunning, `network ${name} does not run`);
  try {
    process.kill(running.pid, 'SIGTERM');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EPERM') {
      throw new CommandFailure(EXIT.noPermission, 'kith down needs root; try: sudo kith down');
    }
    // ESRCH: it ended by itself between the look and the signal, which is what was wanted.
    if (code !== 'ESRCH') throw error;
  }
  const deadline = monotonicMs() + END_MS;
  while (startTimeOf(running.pid) === running.startTime) {
    if (monotonicMs() > deadline) {
      throw new CommandFailure(EXIT.failed, `the supervisor ${running.pid} does not end`);
    }
    await pause(POLL_MS);
  }
  print(`network ${name} is down`);
}
