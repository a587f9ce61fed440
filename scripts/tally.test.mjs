import { expect, test } from 'vitest';
import { closingLine, failedTests, tallyReport } from './tally.mjs';

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

test('tells which tests failed and what they said, a file that could not be loaded among them', () => {
  const passed = { status: 'passed', fullName: 'lab is clean', failureMessages: [] };
  const long = Array.from({ length: 50 }, (_, line) => `line ${line}`).join('\n');
  const testResults = [
    { name: '/kith/a.test.ts', status: 'failed', message: '', assertionResults: [passed] },
    { name: '/kith/b.test.ts', status: 'failed', message: 'SyntaxError: no', assertionResults: [] },
    { name: '/kith/c.test.ts', status: 'passed', message: '', assertionResults: [passed] },
    {
      ...{ name: '/kith/test/d.test.ts', status: 'failed', message: '' },
      assertionResults: [
        passed,
        {
          ...{ status: 'failed', fullName: 'links come back' },
          failureMessages: [`\u001b[31mAssertionError\u001b[39m: 5 is not 3\n${long}`],
        },
      ],
    },
  ];
  const told = failedTests(report({ testResults }), '/kith');
  expect(told.map((text) => text.split('\n').slice(0, 2))).toEqual([
    ['a.test.ts'],
    ['b.test.ts', '    SyntaxError: no'],
    ['test/d.test.ts: links come back', '    AssertionError: 5 is not 3'],
  ]);
  expect(told[2]?.split('\n')).toHaveLength(13);
  expect(failedTests(undefined, '/kith')).toEqual([]);
});
