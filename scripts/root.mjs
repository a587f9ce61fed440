// How a script gets root's rights for the one part that needs them. `npm run` as root drops to the rights of the folder's
// owner, so even `sudo npm run demo` may arrive here without any; each script therefore asks for them itself.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { ROOT, SetupError } from './project.mjs';

const HELD = fileURLToPath(new URL('./held.mjs', import.meta.url));

/**
 * Puts what is needed in front of a command line so that it runs as root.
 * @param {string[]} command
 * @param {string} what what root's rights are for, as a person is told
 * @param {(text: string) => void} say
 * @returns {string[]}
 */
function asRoot(command, what, say) {
  if (process.geteuid?.() === 0) return command;
  const probe = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  if (probe.error === undefined) {
    say(`Asking sudo for: ${what}`);
    if (probe.status === 0) return ['sudo', '-n', '--', ...command];
    // sudo asks for the password on the terminal itself, wherever our own input and output go.
    if (hasTerminal()) return ['sudo', '--', ...command];
  }
  const { username } = os.userInfo();
  throw new SetupError(
    `Root's rights are needed for: ${what}.\n` +
      (probe.error === undefined
        ? `User ${username} may not use sudo without a password, and there is no terminal on which to ask for one.\n`
        : `User ${username} is not root, and sudo is not installed.\n`) +
      `Allow ${username} to use sudo, or run as root: node ${process.argv[1]}`,
  );
}

function hasTerminal() {
  try {
    fs.closeSync(fs.openSync('/dev/tty', 'r+'));
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a command as root with its output on ours. It is told to end (SIGTERM, to all of its process group) when we are
 * interrupted or are gone in whatever way: it hangs on a pipe that we hold, since without rights we could not signal it.
 * @param {string[]} command
 * @param {{ what: string, say: (text: string) => void, env?: Record<string, string> }} options
 * @returns {Promise<number>} exit code
 */
export function runAsRoot(command, { what, say, env = {} }) {
  // sudo clears the environment, so what must get through is handed over as arguments.
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const [program = '', ...args] = asRoot([process.execPath, HELD, ...variables, '--', ...command], what, say);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['pipe', 'inherit', 'inherit'] });
    child.stdin.on('error', () => undefined);
    const letGo = () => child.stdin.end();
    const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
    for (const signal of signals) process.on(signal, letGo);
    child.on('error', (error) => reject(new SetupError(`${program} cannot be started: ${error.message}`)));
    child.on('close', (code) => {
      for (const signal of signals) process.off(signal, letGo);
      resolve(code ?? 128);
    });
  });
}
