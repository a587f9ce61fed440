import { describeError, KithError } from '@kith/base';
import { jsonSchema, loadConfig } from '@kith/config';
import { Command, CommanderError } from 'commander';
import { configPath } from './config-path.ts';
import { CommandFailure, EXIT, EXIT_HELP, type ExitCode } from './exit-codes.ts';
import { addTincanCommand } from './tincan.ts';
import { addTrustCommands } from './trust.ts';
import { versionReport } from './version.ts';

/** Where a command writes: answers to `out`, everything about them to `err`. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

const CONFIG_OPTION = [
  '-c, --config <file>',
  'config of the network (default: $KITH_CONFIG, else the only *.json of /etc/kith)',
] as const;

/** Runs the `kith` command with its arguments (without node and script) and gives its exit code. Throws nothing. */
export async function runKith(args: readonly string[], output: Output): Promise<ExitCode> {
  const state: { code: ExitCode } = { code: EXIT.ok };
  try {
    await buildProgram(output, state).parseAsync(args, { from: 'user' });
    return state.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    output.err(`kith: ${describeError(error)}\n`);
    if (error instanceof CommandFailure) return error.code;
    if (error instanceof KithError && error.code === 'CONFIG_DENIED') return EXIT.noPermission;
    return error instanceof KithError && error.fault === 'config' ? EXIT.usage : EXIT.failed;
  }
}

/** Each command loads its own modules when it is run: with doctor's, which speak XMPP, `kith version` took 0.38 s in place of 0.25. */
function buildProgram(output: Output, state: { code: ExitCode }): Command {
  const print = (line: string) => output.out(`${line}\n`);
  const warn = (line: string) => output.err(`kith: notice: ${line}\n`);
  const program = new Command('kith')
    .description('Private networks between people who know each other.')
    .addHelpText('after', EXIT_HELP)
    .configureOutput({ writeOut: (text) => output.out(text), writeErr: (text) => output.err(text) })
    .showSuggestionAfterError()
    .exitOverride();

  program
    .command('up')
    .description('start a network, wait until it runs, and leave it running')
    .option(...CONFIG_OPTION)
    .option('--foreground', 'stay, and write the log to standard output (for service managers)', false)
    .action(async (options: { config?: string; foreground: boolean }) => {
      const { up } = await import('./up.ts');
      await up(configPath(options.config), options.foreground, print, warn);
    });
  program
    .command('down')
    .description('end a running network')
    .option(...CONFIG_OPTION)
    .action(async (options: { config?: string }) => {
      const { down } = await import('./down.ts');
      await down(configPath(options.config), print);
    });
  program
    .command('status')
    .description('what runs, and the links to the other nodes; with a name, what happened to the links to it')
    .argument('[name]', "a member's JID or the part before its @, or the first digits of a node's UID")
    .option(...CONFIG_OPTION)
    .option('--events <name>', 'the same as the name alone')
    .option(
      '--json',
      'one JSON object; its fields are added to, never changed, while "schema" stays 1',
      false,
    )
    .action(
      async (name: string | undefined, options: { config?: string; json: boolean; events?: string }) => {
        const { status } = await import('./status.ts');
        const print = (text: string) => output.out(text);
        state.code = await status(configPath(options.config), options.json, print, options.events ?? name);
      },
    );
  program
    .command('doctor')
    .alias('netcheck')
    .description('check what a network needs from this machine, and say what to do where it is not so')
    .option(...CONFIG_OPTION)
    .option(
      '--json',
      'one JSON object; its fields are added to, never changed, while "schema" stays 1',
      false,
    )
    .action(async (options: { config?: string; json: boolean }) => {
      const { doctor } = await import('./doctor/doctor.ts');
      state.code = await doctor(configPath(options.config), options.json, (text) => output.out(text));
    });
  program
    .command('version')
    .description('versions of Kith and of Node.js')
    .option('--json', 'one JSON object', false)
    .action((options: { json: boolean }) => {
      const report = versionReport();
      print(
        options.json
          ? JSON.stringify(report)
          : `kith ${report.version} (Node.js ${report.node}, ${report.platform})`,
      );
    });
  addTrustCommands(program, CONFIG_OPTION, (text) => output.out(text));
  addTincanCommand(program, warn);
  addConfigCommands(program, print, warn);
  return program;
}

function addConfigCommands(
  program: Command,
  print: (line: string) => void,
  warn: (line: string) => void,
): void {
  const config = program.command('config').description('look at a config without starting anything');
  config
    .command('check')
    .description('say whether a config is right, and if not, everything that is wrong with it')
    .argument('[file]')
    .option(...CONFIG_OPTION)
    .action((file: string | undefined, options: { config?: string }) => {
      const path = configPath(file ?? options.config);
      const loaded = loadConfig(path);
      for (const notice of loaded.notices) warn(notice);
      const { name, network, xmpp } = loaded.config;
      const { address: host, prefix_length } = network.ip4 ?? network.subnet;
      const address = `${network.ip4 === null ? 'an address of ' : ''}${host}/${prefix_length}`;
      print(
        `${path} is right: network ${name}, ${xmpp.jid} at ${xmpp.server}, ${address} on ${network.interface}`,
      );
    });
  config
    .command('convert')
    .description('print the native form of a config, an IPOP 15.01 one say; a password in it is printed too')
    .argument('[file]')
    .option(...CONFIG_OPTION)
    .action((file: string | undefined, options: { config?: string }) => {
      const { native, notices } = loadConfig(configPath(file ?? options.config));
      for (const notice of notices) warn(notice);
      print(JSON.stringify(native, null, 2));
    });
  config
    .command('schema')
    .description('print the JSON Schema of the native form, for editors')
    .action(() => print(JSON.stringify(jsonSchema(), null, 2)));
}
