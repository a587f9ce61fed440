// Counts what vitest's JSON reports say.

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

/**
 * The closing line. Skipped tests are never passed over in silence.
 * @param {Tally} tally
 */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
