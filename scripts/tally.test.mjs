import { expect, test } from 'vitest';
import { closingLine, tallyReport } from './tally.mjs';

/** @param {object} parts */
const report = (parts) =>
  JSON.stringify({
    ...{ numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] },
    ...parts,
  });

test('adds up what vitest counted', () => {
  const text = report({ numPassedTests: 7, numFailedTests: 2, numPendingTests: 1, numTodoTests: 3 });
  expect(tallyReport(text, 1)).toEqual({ passed: 7, failed: 2, skipped: 4 });
});

test('counts a file that could not be loaded as one failure', () => {
  const testResults = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] },
    { status: 'passed', assertionResults: [{ status: 'passed' }] },
  ];
  expect(tallyReport(report({ numPassedTests: 2, numFailedTests: 1, testResults }), 1)).toMatchObject({
    failed: 2,
  });
});

test('counts a run without a report, or one that fails without saying why, as one failure', () => {
  expect(tallyReport(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(tallyReport(report({ numPassedTests: 5 }), 1)).toEqual({ passed: 5, failed: 1, skipped: 0 });
});

test('says how many were skipped, and only when some were', () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
  expect(closingLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
});
