// The command line of `npm run soak`. Plain JavaScript, since scripts/soak.mjs reads it before anything is built.
import { parseArgs } from 'node:util';

/**
 * @typedef {object} SoakOptions
 * @property {number} minutes
 * @property {number} nodes
 * @property {number | undefined} seed
 * @property {string | undefined} json
 */

export const HELP = `npm run soak [-- OPTION …]
  --minutes N     how long (60)
  --nodes N       nodes, 3 to 50 (10)
  --seed S        of the plan of blows, a whole number; the same seed strikes the same (drawn and printed)
  --json FILE     write what was found to FILE
`;

/** A command line that cannot be. */
export class UsageError extends Error {}

/**
 * @param {readonly string[]} args
 * @returns {SoakOptions | 'help'}
 */
export function parseOptions(args) {
  const values = readArguments(args);
  if (values.help === true) return 'help';
  return {
    minutes: number('--minutes', values.minutes ?? '60', 0.5, 10_080, false),
    nodes: number('--nodes', values.nodes ?? '10', 3, 50, true),
    seed: values.seed === undefined ? undefined : number('--seed', values.seed, 0, 2 ** 32 - 1, true),
    json: values.json,
  };
}

/** @param {readonly string[]} args */
function readArguments(args) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string' },
        nodes: { type: 'string' },
        seed: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} min
 * @param {number} max
 * @param {boolean} whole
 */
function number(option, text, min, max, whole) {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'whole number' : 'number';
    throw new UsageError(`${option} ${text}: expected a ${kind} from ${min} to ${max}`);
  }
  return value;
}
