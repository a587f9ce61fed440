import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { ConfigError, PARENT_FD_VARIABLE } from '@kith/base';
import type { TincanStart } from '@kith/config';
import { TINCAN_MAIN } from '@kith/tincan';
import type { Command } from 'commander';
import { makeForRoot } from './directories.ts';
import { CommandFailure, EXIT } from './exit-codes.ts';

/** Where a tincan without a network keeps its identity and its API's secret, in a directory of the interface's name. */
const STATE_ROOT = '/var/lib/kith-tincan';
/** IPOP's port. */
const DEFAULT_PORT = 5800;
/** Longest name of an interface that Linux has (IFNAMSIZ - 1). */
const INTERFACE_NAME = /^[\w.-]{1,15}$/;
/** As `network.mtu` in a config: goes through every carrier without IP fragmentation. */
const MTU = 1360;

/** The descriptor whose end of file tells tincan that this command is gone, however that ended. */
const PARENT_FD = 3;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

interface Options {
  tap: string;
  port: string;
  apiAuth: string;
  stateDir?: string;
}

/** `kith tincan`: the privileged process alone, for somebody else's controller. */
export function addTincanCommand(program: Command, warn: (line: string) => void): void {
  program
    .command('tincan')
    .description('run tincan alone, without controller and hub, for a controller of your own (docs/API.md)')
    .requiredOption('--tap <name>', 'name of the network interface that the controller makes')
    .option('--port <port>', 'UDP port of its API on 127.0.0.1 and [::1]', String(DEFAULT_PORT))
    .option(
      '--api-auth <how>',
      '"secret": who calls proves that it has read api.secret; "none": every process of this machine may call, in the forms of IPOP too',
      'secret',
    )
    .option(
      '--state-dir <dir>',
      `where its identity and api.secret are (default: ${STATE_ROOT}/ and the interface's name)`,
    )
    .action(async (options: Options) => await runTincan(tincanStartOf(options), warn));
}

/** Throws ConfigError that names the option. */
function tincanStartOf({ tap, port, apiAuth, stateDir }: Options): TincanStart {
  if (!INTERFACE_NAME.test(tap) || tap === '.' || tap === '..') {
    throw wrong('--tap', 'a name of 1 to 15 letters, digits, dots, dashes or underscores', tap);
  }
  const api_port = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (api_port < 1 || api_port > 65_535) throw wrong('--port', 'a port from 1 to 65535', port);
  if (apiAuth !== 'secret' && apiAuth !== 'none') throw wrong('--api-auth', '"secret" or "none"', apiAuth);
  const directory = stateDir === undefined ? join(STATE_ROOT, tap) : resolve(stateDir);
  return {
    network: tap,
    interface: tap,
    mtu: MTU,
    api_port,
    api_auth: apiAuth,
    state_dir: directory,
    runtime_dir: directory,
    secret_owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    log_level: 'info',
  };
}

function wrong(option: string, expected: string, given: string): ConfigError {
  return new ConfigError(
    'OPTION',
    `${option}: expected ${expected}, not ${JSON.stringify(given.slice(0, 64))}`,
    {
      field: option,
    },
  );
}

/** Runs it in the foreground, its log on standard output, until it ends or a signal ends it. */
async function runTincan(start: TincanStart, warn: (line: string) => void): Promise<void> {
  if (process.geteuid?.() !== 0) {
    throw new CommandFailure(
      EXIT.noPermission,
      'kith tincan needs root, to make a network interface; try: sudo kith tincan',
    );
  }
  makeForRoot(start.state_dir);
  if (start.api_auth === 'none')
    warn('every process of this machine may make links and read and send packets (--api-auth none)');
  // Not in this process: node-datachannel and the TAP workers may end theirs, and its log has standard output for itself.
  const child = spawn(process.execPath, [TINCAN_MAIN], {
    cwd: '/',
    env: { ...process.env, [PARENT_FD_VARIABLE]: String(PARENT_FD) },
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
  });
  // A child that dies before it has read its document breaks the pipe; its end is reported below.
  child.stdin?.on('error', () => {});
  child.stdin?.end(JSON.stringify(start));
  const end = (): void => void child.kill('SIGTERM');
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    const how = await new Promise<string | undefined>((ended) => {
      child.on('error', (error) => ended(`could not be started: ${error.message}`));
      child.on('exit', (code, signal) =>
        ended(code === 0 ? undefined : `ended ${signal === null ? `with code ${code}` : `by ${signal}`}`),
      );
    });
    if (how !== undefined) throw new CommandFailure(EXIT.failed, `tincan ${how}`);
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
}
