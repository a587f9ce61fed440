// Runs a command for as long as our standard input stays open:  node held.mjs [NAME=VALUE …] -- COMMAND [ARGUMENT …]
// Whoever holds the other end of that pipe, with whatever rights, ends the command by closing it or by dying.
import { spawn } from 'node:child_process';

// A demo or a test run that was told to end removes its lab within seconds.
const GRACE_MS = 30_000;

const args = process.argv.slice(2);
const at = args.indexOf('--');
const variables = args.slice(0, at).map((variable) => {
  const equals = variable.indexOf('=');
  return [variable.slice(0, equals), variable.slice(equals + 1)];
});
const [command = '', ...rest] = args.slice(at + 1);

const child = spawn(command, rest, {
  // A process group of its own, so that all of it can be ended together and Ctrl-C comes by one way only: from our holder.
  detached: true,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: {
    ...process.env,
    // An ordinary user's path, which su and sudo may pass on, lacks the directories of ip(8) and its like.
    PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
    ...Object.fromEntries(variables),
  },
});

/** @param {NodeJS.Signals} signal */
function signalGroup(signal) {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

let ending = false;
function end() {
  if (ending) return;
  ending = true;
  signalGroup('SIGTERM');
  setTimeout(() => signalGroup('SIGKILL'), GRACE_MS).unref();
}

process.stdin.on('end', end).on('error', end).resume();
process.on('SIGTERM', end);
// From the terminal these reach our holder as well, who then closes the pipe.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);

child.on('error', (error) => {
  process.stderr.write(`${command} cannot be started: ${error.message}\n`);
  process.exit(127);
});
child.on('exit', (code) => {
  // What a dying command left behind in its group has no work any more.
  signalGroup('SIGTERM');
  process.exit(code ?? (ending ? 130 : 1));
});
