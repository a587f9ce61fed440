// npm test: set-up, build, lint, unit tests, end-to-end tests; the last line counts the tests.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { npm, ownerRights, ROOT, runVisibly, SetupError } from './project.mjs';
import { runAsRoot } from './root.mjs';
import { setUp } from './setup.mjs';
import { closingLine, failedTests, tallyReport } from './tally.mjs';

const VITEST = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');

/** @param {string} text */
const say = (text) => void process.stdout.write(`${text}\n`);
/** @param {string} title */
const head = (title) => say(`\n=== ${title}`);

const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const failures = [];
/** What each failed test said. @type {string[]} */
const stories = [];

/**
 * Runs vitest by `run`, which gets its command line, and adds up what it reports.
 * @param {string} name
 * @param {string} reports directory
 * @param {string[]} options
 * @param {(command: string[]) => Promise<number>} run
 */
async function tests(name, reports, options, run) {
  head(`${name} tests`);
  const file = path.join(reports, `${name}.json`);
  const command = [
    process.execPath,
    VITEST,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ];
  const exitCode = await run([...command, ...options]);
  const report = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
  const tally = tallyReport(report, exitCode);
  const told = failedTests(report, ROOT);
  stories.push(...told);
  if (tally.failed > 0 && told.length === 0)
    stories.push(`${name} tests: an error outside of any test, told where the tests end`);
  for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) total[key] += tally[key];
  if (tally.failed > 0) failures.push(`${name} tests`);
  return tally.failed === 0;
}

/** @param {string} name */
function failed(name) {
  total.failed++;
  failures.push(name);
}

async function lint() {
  head('lint');
  const [command, args] = npm(['run', '--silent', 'lint']);
  if ((await runVisibly(command, args, ownerRights())) !== 0) failed('lint');
}

/** The seed of the soak among the tests, where one is wished for. */
function seedOfSoak() {
  const { KITH_SOAK_SEED } = process.env;
  return KITH_SOAK_SEED === undefined ? {} : { KITH_SOAK_SEED };
}

/** @param {string} reports */
async function allTests(reports) {
  const rights = ownerRights();
  if (rights.uid !== undefined) fs.chownSync(reports, rights.uid, rights.gid ?? rights.uid);
  await tests('unit', reports, [], ([program = '', ...args]) => runVisibly(program, args, rights));
  const logs = path.join(reports, 'logs');
  fs.mkdirSync(logs);
  // The runner loads the config without writing a temporary file, which would be root's, into node_modules.
  const options = ['--config', 'vitest.e2e.config.ts', '--configLoader', 'runner'];
  const what = 'end-to-end tests: network namespaces, TAP devices and private ejabberds';
  return tests('end-to-end', reports, options, (command) =>
    runAsRoot(command, { what, say, env: { KITH_LAB_LOGS: logs, ...seedOfSoak() } }),
  );
}

/** @param {string} reports */
function showLogs(reports) {
  const logs = fs.readdirSync(path.join(reports, 'logs'), { recursive: true, withFileTypes: true });
  const files = logs
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  if (files.length > 0) say(`\nLogs of the end-to-end tests' labs are kept:\n  ${files.join('\n  ')}`);
  return files.length > 0;
}

/** What is being done, for a set-up error that ends it. */
let stage = 'set-up and build';
const reports = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-test-'));
let keepReports = false;
try {
  head(stage);
  await setUp({ say });
  await lint();
  stage = 'end-to-end tests';
  keepReports = !(await allTests(reports)) && showLogs(reports);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  failed(stage);
} finally {
  if (!keepReports) fs.rmSync(reports, { recursive: true, force: true });
}
for (const story of stories) say(`\n${story}`);
if (failures.length > 0) say(`\nFailed: ${failures.join(', ')}`);
say(`\n${closingLine(total)}`);
process.exitCode = total.failed === 0 ? 0 : 1;
