// npm run soak: nodes under random blows, with invariants checked every second; set-up included. See docs/SCALE.md.
import path from 'node:path';
import { HELP, parseOptions } from '../test/soak/options.mjs';
import { fromCaller, keep, runLabProgram } from './lab-program.mjs';

await runLabProgram({
  name: 'soak',
  help: HELP,
  parse: parseOptions,
  what: 'network namespaces, TAP devices and a private ejabberd',
  keep: (directory, { json }) => {
    if (json !== undefined) keep(path.join(directory, 'soak.json'), fromCaller(json));
  },
});
