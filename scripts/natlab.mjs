// npm run natlab: pairs of nodes behind every kind of NAT, set-up included. What is built and measured is told in docs/NATLAB.md.
import path from 'node:path';
import { HELP, parseOptions } from '../test/natlab/options.mjs';
import { fromCaller, keep, runLabProgram } from './lab-program.mjs';

await runLabProgram({
  name: 'natlab',
  help: HELP,
  parse: parseOptions,
  what: 'network namespaces, TAP devices and a private ejabberd',
  keep: (directory, { json, html, logs }) => {
    for (const [file, asked] of /** @type {const} */ ([
      ['natlab.json', json],
      ['natlab.html', html],
      ['logs', logs],
    ])) {
      if (asked !== undefined) keep(path.join(directory, file), fromCaller(asked));
    }
  },
});
