// Where the checkout is, whose it is, and how to run a program as its owner.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** A failure whose message says all that a person needs; scripts print it without a stack. */
export class SetupError extends Error {}

/**
 * Rights for programs that write into the checkout. When root runs a script in somebody's checkout, packages and build
 * are still made by that somebody, so that no file of root's is left there.
 * @returns {{ uid?: number, gid?: number, env: NodeJS.ProcessEnv }}
 */
export function ownerRights() {
  const { uid, gid } = fs.statSync(ROOT);
  if (process.geteuid?.() !== 0 || uid === 0) return { env: process.env };
  const account = spawnSync('getent', ['passwd', String(uid)], { encoding: 'utf8' })
    .stdout.trim()
    .split(':');
  // npm keeps its cache in HOME, and root's is closed to the owner.
  return { uid, gid, env: { ...process.env, HOME: account[5] || '/' } };
}

/**
 * Runs a program to its end with its output on ours.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>} exit code; 128 when a signal ended it
 */
export function runVisibly(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], ...options });
    child.on('error', (error) => reject(new SetupError(`${command} cannot be started: ${error.message}`)));
    child.on('close', (code) => resolve(code ?? 128));
  });
}

/**
 * The npm that runs us, or the one in PATH when we were started without npm.
 * @param {string[]} args
 * @returns {[string, string[]]}
 */
export function npm(args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('.js') ? [process.execPath, [cli, ...args]] : ['npm', args];
}
