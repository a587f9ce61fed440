import { expect, test } from 'vitest';
import { UsageError } from '../command-line/command-line.mjs';
import { parseOptions } from './options.mjs';

function cellsOf(...args: string[]): string[] {
  const options = parseOptions(args);
  if (options === 'help') throw new Error('not help');
  return options.cells.map(({ a, b }) => `${a.id}:${b.id}`);
}

test('without options the whole grid runs: every pair of kinds, and every shared router once', () => {
  const cells = cellsOf();
  expect(cells).toHaveLength((11 * 12) / 2 + 3);
  expect(new Set(cells).size).toBe(cells.length);
});

test('--only takes a kind with all its cells, or one cell in either order', () => {
  expect(cellsOf('--only', 'symmetric:none')).toEqual(['none:symmetric']);
  expect(cellsOf('--only', 'same-nat')).toEqual(['same-nat:same-nat']);
  expect(cellsOf('--only', 'symmetric')).toHaveLength(11);
  expect(cellsOf('--only', 'cgnat:none,cgnat:full-cone')).toEqual(['none:cgnat', 'full-cone:cgnat']);
});

test('what cannot be is refused', () => {
  for (const args of [
    ['--only', 'fullcone'],
    ['--only', 'same-nat:none'],
    ['--parallel', '0'],
    ['--seconds', 'x'],
    ['--frobnicate'],
  ]) {
    expect(() => parseOptions(args), args.join(' ')).toThrow(UsageError);
  }
});
