import { expect, test } from 'vitest';
import { UsageError } from '../command-line/command-line.mjs';
import { parseOptions, SYSTEM_NAMES } from './options.mjs';

test('without options every system takes part, three rounds of five seconds', () => {
  expect(parseOptions([])).toMatchObject({
    rounds: 3,
    seconds: 5,
    only: SYSTEM_NAMES,
    all: true,
    tcp: 'cubic',
  });
  expect(parseOptions(['--lossy'])).toMatchObject({ seconds: 20, loss: 0.01, delayMs: 50, tcp: 'bbr' });
});

test('takes options apart', () => {
  const options = parseOptions(['--only', 'none,tinc', '--rounds=1', '--seconds', '2', '--json', 'x.json']);
  expect(options).toMatchObject({
    only: ['none', 'tinc'],
    all: false,
    rounds: 1,
    seconds: 2,
    json: 'x.json',
  });
  expect(parseOptions(['--help'])).toBe('help');
});

test.each([
  ['--only', 'zerotier'],
  ['--rounds', '0'],
  ['--rounds', 'two'],
  ['--seconds', '1.5'],
  ['--loss', ''],
  ['--tcp', 'cubic; reboot'],
  ['--fast'],
  ['stray'],
  ['--lossy', '--profile'],
])('refuses %s %s', (...args) => {
  expect(() => parseOptions(args)).toThrow(UsageError);
});
