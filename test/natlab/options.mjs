// The command line of `npm run natlab`. Plain JavaScript, since scripts/natlab.mjs reads it before anything is built.
import { parseArgs } from 'node:util';
import { allCells, KINDS } from './kinds.mjs';

/**
 * @typedef {object} NatlabOptions
 * @property {ReturnType<typeof allCells>} cells
 * @property {string | undefined} json
 * @property {string | undefined} html
 * @property {string | undefined} logs
 * @property {number} parallel
 * @property {number} patienceS
 * @property {number} seconds
 */

export const HELP = `npm run natlab [-- OPTION …]
  --only A,B      only these cells: KIND is all cells of a kind, KIND:KIND is one cell; KIND is one of
                  ${KINDS.map(({ id }) => id).join(', ')}
  --json FILE     write the cells to FILE
  --html FILE     write the grid for people to FILE
  --logs DIR      keep the nodes' logs of every cell that falls short in DIR
  --parallel N    cells at once; their TCP runs take turns (2)
  --patience S    seconds that a pair may take to its first ping (25)
  --seconds N     length of each TCP run (3)
`;

/** A command line that cannot be. */
export class UsageError extends Error {}

/**
 * @param {readonly string[]} args
 * @returns {NatlabOptions | 'help'}
 */
export function parseOptions(args) {
  const values = readArguments(args);
  if (values.help === true) return 'help';
  return {
    cells: values.only === undefined ? allCells() : chosenCells(values.only.split(',')),
    json: values.json,
    html: values.html,
    logs: values.logs,
    parallel: number('--parallel', values.parallel ?? '2', 16),
    patienceS: number('--patience', values.patience ?? '25', 600),
    seconds: number('--seconds', values.seconds ?? '3', 600),
  };
}

/** @param {readonly string[]} args */
function readArguments(args) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        json: { type: 'string' },
        html: { type: 'string' },
        logs: { type: 'string' },
        parallel: { type: 'string' },
        patience: { type: 'string' },
        seconds: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {readonly string[]} items */
function chosenCells(items) {
  const wanted = items.map((item) => item.trim().split(':'));
  for (const id of wanted.flat()) {
    if (!KINDS.some((kind) => kind.id === id)) throw new UsageError(`--only: ${id} is no kind of network`);
  }
  const cells = allCells().filter(({ a, b }) =>
    wanted.some(([one, other]) =>
      other === undefined
        ? a.id === one || b.id === one
        : (a.id === one && b.id === other) || (a.id === other && b.id === one),
    ),
  );
  if (cells.length === 0) throw new UsageError('--only: there is no such cell');
  return cells;
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} max
 */
function number(option, text, max) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new UsageError(`${option} ${text}: expected a whole number from 1 to ${max}`);
  return value;
}
