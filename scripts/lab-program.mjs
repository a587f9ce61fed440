// Runs a program that needs a lab: set-up, its privileged part, and what that wrote put where it was asked for.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { UsageError } from '../test/command-line/command-line.mjs';
import { ownerRights, ROOT, SetupError } from './project.mjs';
import { runAsRoot } from './root.mjs';
import { setUp } from './setup.mjs';

/** @param {string} text */
export const say = (text) => void process.stdout.write(`${text}\n`);

/**
 * A path as the person meant it: npm changes into the folder of package.json.
 * @param {string} file
 */
export function fromCaller(file) {
  return path.resolve(process.env.INIT_CWD ?? '.', file);
}

/**
 * Copies a file or directory that root wrote to where it was asked for, as the checkout's owner's when it lands there. What was not
 * written is not kept.
 * @param {string} source
 * @param {string | undefined} target absolute
 */
export function keep(source, target) {
  if (target === undefined || !fs.existsSync(source)) return;
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.cpSync(source, target, { recursive: true });
  const { uid, gid } = ownerRights();
  if (uid !== undefined && target.startsWith(ROOT)) fs.chownSync(target, uid, gid ?? uid);
  say(`Written: ${target}`);
}

/**
 * Sets the exit code: that of the privileged part, 1 when the set-up failed, 2 for a wrong command line.
 * @template Options
 * @param {object} program
 * @param {string} program.name its directory under test/dist
 * @param {string} program.help
 * @param {(args: readonly string[]) => Options | 'help'} program.parse may throw UsageError
 * @param {string} program.what what needs root's rights, for whoever is asked for a password
 * @param {(options: Options) => Promise<void>} [program.prepare] after the set-up
 * @param {(directory: string, options: Options, code: number) => void} program.keep puts the results where they belong
 */
export async function runLabProgram(program) {
  try {
    process.exitCode = await run(program);
  } catch (error) {
    if (!(error instanceof SetupError || error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    if (error instanceof UsageError) process.stderr.write(program.help);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/**
 * @template Options
 * @param {Parameters<typeof runLabProgram<Options>>[0]} program
 * @returns {Promise<number>} exit code
 */
async function run({ name, help, parse, what, prepare, keep: keepResults }) {
  const args = process.argv.slice(2);
  const options = parse(args);
  if (options === 'help') {
    process.stdout.write(help);
    return 0;
  }
  await setUp({ say });
  await prepare?.(options);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), `kith-${name}-`));
  try {
    const main = path.join(ROOT, 'test', 'dist', name, 'main.js');
    const code = await runAsRoot([process.execPath, main, directory, ...args], { what, say });
    keepResults(directory, options, code);
    return code;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}
