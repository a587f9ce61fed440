import { join } from 'node:path';
import { SystemError } from '@kith/base';
import { locateNetwork } from '@kith/config';
import { type TrustAnswer, type TrustQuestion, trustAnswer } from '@kith/protocol';
import type { Command } from 'commander';
import { configPath } from './config-path.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit-codes.ts';
import { readPidFile } from './pid-file.ts';
import { ask, statusSocket } from './status-client.ts';
import { PID_FILE } from './supervisor.ts';
import { formatTrust } from './trust-text.ts';

interface Options {
  config?: string;
  json: boolean;
  fingerprint?: boolean;
  confirm?: boolean;
}

/** Deriving sixteen codes takes a second of a core that may be busy. */
const ANSWER_MS = 15_000;

const NAME = ['<name>', 'member, like bob or bob@example.org'] as const;
const UID = [
  '[uid]',
  'node of the member, all 40 digits; needed where more than one could be meant',
] as const;

/** Adds `kith trust list|accept|forget|verify`. */
export function addTrustCommands(
  program: Command,
  configOption: readonly [string, string],
  print: (text: string) => void,
): void {
  const trust = program.command('trust').description('which machines are believed to be whose');
  const command = (name: string, description: string) =>
    trust
      .command(name)
      .description(description)
      .option(...configOption)
      .option('--json', 'one JSON object', false);

  command('list', 'all nodes that are known, and the new ones that wait').action(async (options: Options) => {
    await run({ m: 'trust', do: 'list' }, options, print);
  });
  command('accept', 'believe that a new node is the member’s')
    .argument(...NAME)
    .argument(...UID)
    .action(async (name: string, uid: string | undefined, options: Options) => {
      await run({ m: 'trust', do: 'accept', ...named(name, uid) }, options, print);
    });
  command('forget', 'forget one node of a member, or all; a member without any is met anew')
    .argument(...NAME)
    .argument(...UID)
    .action(async (name: string, uid: string | undefined, options: Options) => {
      await run({ m: 'trust', do: 'forget', ...named(name, uid) }, options, print);
    });
  command('verify', 'show the code that the other end must show too; compare it by voice')
    .argument(...NAME)
    .argument(...UID)
    .option('--fingerprint', 'show the whole fingerprints of both ends instead', false)
    .option('--confirm', 'the code was compared and is the same: the node is verified', false)
    .action(async (name: string, uid: string | undefined, options: Options) => {
      const confirm = options.confirm === true;
      await run({ m: 'trust', do: 'verify', confirm, ...named(name, uid) }, options, print);
    });
}

function named(name: string, uid: string | undefined): { name: string; uid?: string } {
  if (uid !== undefined && !/^[0-9a-f]{40}$/i.test(uid)) {
    throw new CommandFailure(EXIT.usage, `${uid} is not a UID; expected all 40 hex digits (kith trust list)`);
  }
  return { name, ...(uid === undefined ? {} : { uid: uid.toLowerCase() }) };
}

async function run(question: TrustQuestion, options: Options, print: (text: string) => void): Promise<void> {
  const answer = await askTrust(configPath(options.config), question);
  print(
    options.json
      ? `${JSON.stringify(answer)}\n`
      : formatTrust(question, answer, { fingerprint: options.fingerprint === true }),
  );
}

/** Throws CommandFailure with the exit code that says why there is no answer. */
async function askTrust(file: string, question: TrustQuestion): Promise<TrustAnswer> {
  const place = locateNetwork(file);
  try {
    return await ask(statusSocket(place.runtime_dir), question, trustAnswer, ANSWER_MS);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const code = exitCodeOf(error.code, place.runtime_dir);
    throw new CommandFailure(
      code,
      code === EXIT.notRunning ? `network ${place.name} does not run` : error.message,
    );
  }
}

function exitCodeOf(code: string, runtimeDir: string): ExitCode {
  switch (code) {
    case 'STATUS_DENIED':
      return EXIT.noPermission;
    case 'STATUS_ABSENT':
      return readPidFile(join(runtimeDir, PID_FILE)) === undefined ? EXIT.notRunning : EXIT.degraded;
    case 'STATUS_SILENT':
    case 'STATUS_BROKEN':
      return EXIT.degraded;
    // A name that is none is a fault of the command line.
    case 'TRUST_NAME':
      return EXIT.usage;
    default:
      return EXIT.failed;
  }
}
