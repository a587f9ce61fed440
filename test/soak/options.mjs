// The command line of `npm run soak`. Plain JavaScript, since scripts/soak.mjs reads it before anything is built.
import { numberOf, readArguments } from '../command-line/command-line.mjs';

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

const OPTIONS = /** @type {const} */ ({
  minutes: { type: 'string' },
  nodes: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'string' },
  help: { type: 'boolean' },
});

/**
 * @param {readonly string[]} args
 * @returns {SoakOptions | 'help'}
 */
export function parseOptions(args) {
  const values = readArguments(args, OPTIONS);
  if (values.help === true) return 'help';
  return {
    minutes: numberOf('--minutes', values.minutes ?? '60', 0.5, 10_080, false),
    nodes: numberOf('--nodes', values.nodes ?? '10', 3, 50),
    seed: values.seed === undefined ? undefined : numberOf('--seed', values.seed, 0, 2 ** 32 - 1),
    json: values.json,
  };
}
