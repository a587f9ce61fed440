// npm run demo: shows Kith's main job on this machine, set-up included. What it shows is told in test/demo/story.ts.
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, SetupError } from './project.mjs';
import { runAsRoot } from './root.mjs';
import { setUp } from './setup.mjs';

const HELP = `npm run demo [-- OPTION]
  --json   print nothing on standard output but the result, one line of JSON
           (npm itself prints two lines before; npm run -s demo -- --json leaves them out)
  --keep   leave everything running and say how to look at it
  --stop   end what --keep left running
`;
const MAIN = path.join(ROOT, 'test', 'dist', 'demo', 'main.js');

const args = process.argv.slice(2);
const json = args.includes('--json');
/** @param {string} text */
const say = (text) => void (json ? process.stderr : process.stdout).write(`${text}\n`);

/** @returns {Promise<number>} exit code */
async function main() {
  const unknown = args.find((arg) => !['--json', '--keep', '--stop', '--help'].includes(arg));
  if (unknown !== undefined || args.includes('--help')) {
    if (unknown !== undefined) process.stderr.write(`${unknown} is not an option.\n`);
    (unknown === undefined ? process.stdout : process.stderr).write(HELP);
    return unknown === undefined ? 0 : 2;
  }
  const stopping = args.includes('--stop');
  if (!stopping || !fs.existsSync(MAIN)) await setUp({ say, output: json ? 2 : 1 });
  const what = stopping
    ? 'ending the demo that runs'
    : 'network namespaces, TAP devices and a private ejabberd';
  return runAsRoot([process.execPath, MAIN, ...args], { what, say });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: error.message })}\n`);
  process.exitCode = 1;
}
