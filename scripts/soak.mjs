// npm run soak: nodes under random blows, with invariants checked every second; set-up included. See docs/SCALE.md.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { HELP, parseOptions, UsageError } from '../test/soak/options.mjs';
import { ownerRights, ROOT, SetupError } from './project.mjs';
import { runAsRoot } from './root.mjs';
import { setUp } from './setup.mjs';

const MAIN = path.join(ROOT, 'test', 'dist', 'soak', 'main.js');

/** @param {string} text */
const say = (text) => void process.stdout.write(`${text}\n`);

/**
 * Moves what root wrote to where it was asked for, as the checkout's owner's when it lands in the checkout.
 * @param {string} source
 * @param {string | undefined} asked
 */
function keep(source, asked) {
  if (asked === undefined || !fs.existsSync(source)) return;
  // npm changes into the folder of package.json; a person means where they were.
  const target = path.resolve(process.env.INIT_CWD ?? '.', asked);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.cpSync(source, target, { recursive: true });
  const { uid, gid } = ownerRights();
  if (uid !== undefined && target.startsWith(ROOT)) fs.chownSync(target, uid, gid ?? uid);
  say(`Written: ${target}`);
}

/** @returns {Promise<number>} exit code */
async function main() {
  const args = process.argv.slice(2);
  const options = parseOptions(args);
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  await setUp({ say });
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-soak-'));
  try {
    const what = 'network namespaces, TAP devices and a private ejabberd';
    const code = await runAsRoot([process.execPath, MAIN, directory, ...args], { what, say });
    keep(path.join(directory, 'soak.json'), options.json);
    return code;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError || error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  if (error instanceof UsageError) process.stderr.write(HELP);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
