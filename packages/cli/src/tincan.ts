import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '@kith/base';
import { findUser, type GatewayStart, type Owner, type TincanStart } from '@kith/config';
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
/** As `process.user` in a config that belongs to root. */
const DEFAULT_USER = 'nobody';

interface Options {
  tap: string;
  port: string;
  apiAuth: string;
  stateDir?: string;
  user: string;
  xmppCa?: string;
}

/** All that the two processes are told, but for what the first tells the second. */
interface Starts {
  tincan: TincanStart;
  gateway: Omit<GatewayStart, 'tincan_port' | 'secret'>;
}

/** `kith tincan`: the privileged process for somebody else's controller, and before its API the one that does XMPP for it. */
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
    .option('--user <name>', 'who the process becomes that serves the API and speaks XMPP', DEFAULT_USER)
    .option(
      '--xmpp-ca <file>',
      "authorities (PEM) that may vouch for the XMPP server of register_svc, in place of Node.js' own",
    )
    .action(async (options: Options) => await runTincan(startsOf(options), warn));
}

/** Throws ConfigError that names the option. */
function startsOf({ tap, port, apiAuth, stateDir, user, xmppCa }: Options): Starts {
  if (!INTERFACE_NAME.test(tap) || tap === '.' || tap === '..') {
    throw wrong('--tap', 'a name of 1 to 15 letters, digits, dots, dashes or underscores', tap);
  }
  const api_port = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (api_port < 1 || api_port > 65_535) throw wrong('--port', 'a port from 1 to 65535', port);
  if (apiAuth !== 'secret' && apiAuth !== 'none') throw wrong('--api-auth', '"secret" or "none"', apiAuth);
  const directory = stateDir === undefined ? join(STATE_ROOT, tap) : resolve(stateDir);
  const log_level = 'info';
  return {
    tincan: {
      network: tap,
      interface: tap,
      mtu: MTU,
      // Any free one: callers meet the gateway.
      api_port: 0,
      api_auth: apiAuth,
      state_dir: directory,
      runtime_dir: directory,
      secret_owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      log_level,
    },
    gateway: { run_as: ownerOf(user), api_port, api_auth: apiAuth, log_level, ...caOf(xmppCa) },
  };
}

/** WALL 2: whoever speaks XMPP is never root. */
function ownerOf(user: string): Owner {
  const found = findUser(user);
  if (found === undefined || found.uid === 0) {
    throw wrong('--user', 'the name of a user of this machine that is not root', user);
  }
  return { uid: found.uid, gid: found.gid };
}

function caOf(file: string | undefined): { xmpp_ca?: string } {
  if (file === undefined) return {};
  let xmpp_ca: string;
  try {
    xmpp_ca = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError('OPTION', '--xmpp-ca: cannot be read', { field: '--xmpp-ca', cause });
  }
  if (!xmpp_ca.includes('-----BEGIN CERTIFICATE-----')) throw wrong('--xmpp-ca', 'a PEM certificate', file);
  return { xmpp_ca };
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

/** Runs both in the foreground, their logs on standard output, until one ends or a signal ends them. */
async function runTincan({ tincan, gateway }: Starts, warn: (line: string) => void): Promise<void> {
  if (process.geteuid?.() !== 0) {
    throw new CommandFailure(
      EXIT.noPermission,
      'kith tincan needs root, to make a network interface; try: sudo kith tincan',
    );
  }
  makeForRoot(tincan.state_dir);
  if (tincan.api_auth === 'none')
    warn('every process of this machine may make links and read and send packets (--api-auth none)');
  const { runTincanPair } = await import('./tincan-pair.ts');
  const failure = await runTincanPair(tincan, (tincan_port) => {
    // tincan made it if it was missing.
    const secret = readFileSync(join(tincan.runtime_dir, 'api.secret'), 'utf8').trim();
    return { ...gateway, tincan_port, secret };
  });
  if (failure !== undefined) throw new CommandFailure(EXIT.failed, failure);
}
