// Counts what vitest's JSON reports say, and tells what failed.
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/** @typedef {{ passed: number, failed: number, skipped: number }} Tally */

/**
 * @param {string | undefined} report text of a report of `vitest --reporter=json`; undefined when none was written
 * @param {number} exitCode of the vitest that wrote it
 * @returns {Tally}
 */
export function tallyReport(report, exitCode) {
  // A run that broke before it could report is one failure; so is one that failed for no reason that it reports,
  // such as an error outside of any test.
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(report);
  // A file that could not even be loaded has no tests to fail.
  const brokenFiles = testResults.filter(
    (/** @type {{ status: string, assertionResults: { status: string }[] }} */ file) =>
      file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
  ).length;
  const failed = numFailedTests + brokenFiles;
  return {
    passed: numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  };
}

/** As much of what a test said as tells what went wrong, without the ends of long stories. */
const MAX_MESSAGE_LINES = 12;

/**
 * The failed tests by file and name, each with what it said: a run's output is long, and often only its end is kept.
 * @param {string | undefined} report
 * @param {string} root directory that the names of the files are told from
 * @returns {string[]}
 */
export function failedTests(report, root) {
  if (report === undefined) return [];
  /** @type {{ name: string, status: string, message?: string, assertionResults: { status: string, fullName: string, failureMessages?: string[] }[] }[]} */
  const files = JSON.parse(report).testResults;
  return files
    .filter(({ status }) => status === 'failed')
    .flatMap(({ name, message, assertionResults }) => {
      const file = path.relative(root, name);
      const failed = assertionResults.filter(({ status }) => status === 'failed');
      if (failed.length === 0) return [story(file, message ?? '')];
      return failed.map((test) =>
        story(`${file}: ${test.fullName}`, (test.failureMessages ?? []).join('\n')),
      );
    });
}

/**
 * @param {string} title
 * @param {string} message
 */
function story(title, message) {
  const lines = stripVTControlCharacters(message).split('\n').slice(0, MAX_MESSAGE_LINES);
  return [title, ...lines.filter((line) => line !== '').map((line) => `    ${line}`)].join('\n');
}

/**
 * The closing line. Skipped tests are never passed over in silence.
 * @param {Tally} tally
 */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
