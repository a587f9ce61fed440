// The command line of `npm run natlab`. Plain JavaScript, since scripts/natlab.mjs reads it before anything is built.
import { numberOf, readArguments, UsageError } from '../command-line/command-line.mjs';
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

const OPTIONS = /** @type {const} */ ({
  only: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  logs: { type: 'string' },
  parallel: { type: 'string' },
  patience: { type: 'string' },
  seconds: { type: 'string' },
  help: { type: 'boolean' },
});

/**
 * @param {readonly string[]} args
 * @returns {NatlabOptions | 'help'}
 */
export function parseOptions(args) {
  const values = readArguments(args, OPTIONS);
  if (values.help === true) return 'help';
  return {
    cells: values.only === undefined ? allCells() : chosenCells(values.only.split(',')),
    json: values.json,
    html: values.html,
    logs: values.logs,
    parallel: numberOf('--parallel', values.parallel ?? '2', 1, 16),
    patienceS: numberOf('--patience', values.patience ?? '25', 1, 600),
    seconds: numberOf('--seconds', values.seconds ?? '3', 1, 600),
  };
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
