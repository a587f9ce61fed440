import { expect, test } from 'vitest';
import { UsageError } from '../command-line/command-line.mjs';
import { parseOptions } from './options.mjs';

test('an hour with ten nodes and a seed of its own, unless told', () => {
  expect(parseOptions([])).toEqual({ minutes: 60, nodes: 10, seed: undefined, json: undefined });
  expect(parseOptions(['--minutes', '3', '--nodes=6', '--seed', '42'])).toMatchObject({
    ...{ minutes: 3, nodes: 6, seed: 42 },
  });
});

test.each([
  ['--minutes', '0'],
  ['--nodes', '2'],
  ['--seed', '-1'],
  ['--seed', 'x'],
  ['--what', '1'],
])('%s %s is refused', (...args) => {
  expect(() => parseOptions(args)).toThrow(UsageError);
});
