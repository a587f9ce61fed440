import { describeError, KithError } from '@kith/base';
import { networkProcesses } from './processes.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisorMessage } from './supervisor-messages.ts';

// The detached supervisor: `node supervisor-main.js CONFIG`, started by `kith up`.

/** Tells `kith up`, as long as it listens. */
function tell(message: SupervisorMessage): void {
  // The callback takes the error of a `kith up` that ended in this very moment.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function main(): void {
  try {
    const supervisor = Supervisor.start(process.argv[2] ?? '', {
      foreground: false,
      onDeath: (death) => tell({ kind: 'death', ...death }),
      children: networkProcesses,
    });
    const end = () => {
      supervisor.stop().finally(() => process.exit());
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
    // It has left its terminal; one that closes is no reason to end.
    process.on('SIGHUP', () => {});
    tell({ kind: 'started' });
  } catch (error) {
    process.exitCode = 1;
    tell({
      kind: 'refused',
      code: error instanceof KithError ? error.code : '',
      message: describeError(error),
    });
    if (process.connected) process.disconnect();
  }
}

main();
