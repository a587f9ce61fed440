// The privileged part of `npm run bench`; scripts/bench.mjs does the set-up and starts it:  node main.js DIRECTORY [OPTION …]
// What is to be kept is written into DIRECTORY; scripts/bench.mjs puts it where it was asked for, with its own rights.
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { BugError } from '@kith/base';
import { type Lab, runInLab, type Say } from '../lab/index.ts';
import { barChart } from './chart.ts';
import { compare, compareOverWire } from './compare.ts';
import { type BenchOptions, parseOptions } from './options.mjs';
import { profileKith } from './profile/index.ts';
import { describeMachine, type Results, resultDocument, thisMachine } from './results.ts';
import { figureTables, ratioTable } from './table.ts';

/** Load average above which somebody else is using the machine. Set-up and build, just before, leave less behind. */
const BUSY = 1;

function report(options: BenchOptions, results: Results): string {
  const systems = results.systems();
  const problems = systems.flatMap(({ name, problems }) =>
    problems.map((problem) => `  ${name}: ${problem.trimEnd().replaceAll('\n', '\n    ')}`),
  );
  const { rounds, seconds } = options;
  return [
    `\n${describeMachine(thisMachine())}; ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${seconds} s each, TCP ${options.tcp}; median (least–greatest)\n`,
    figureTables(systems),
    ratioTable(systems).replace(/^(?=.)/, '\n'),
    ...(problems.length === 0 ? [] : ['\nWhat did not work:', ...problems]),
  ].join('\n');
}

async function bench(lab: Lab, directory: string, options: BenchOptions, say: Say): Promise<void> {
  const [load = 0] = os.loadavg();
  if (load > BUSY)
    say(`The machine is not idle (load ${load.toFixed(1)}): its other work will be in the figures`);
  if (options.profile) {
    await profileKith(lab, options, directory, say);
    return;
  }
  const { lossy, loss, delayMs, seed } = options;
  const results = await (lossy ? compareOverWire : compare)(lab, options, say);
  say(report(options, results));
  const wire = lossy ? { wire: { loss, round_trip_ms: delayMs, seed } } : {};
  const systems = results.systems();
  const document = resultDocument(thisMachine(), options.rounds, systems, wire);
  await writeFile(join(directory, 'bench.json'), `${JSON.stringify(document, null, 2)}\n`);
  if (!lossy) await writeFile(join(directory, 'bench.svg'), barChart(thisMachine(), options.rounds, systems));
}

const [directory, ...args] = process.argv.slice(2);
const options = parseOptions(args);
if (directory === undefined || options === 'help') throw new BugError('BENCH_START', 'started by hand');
await runInLab('bench', async (lab, say) => {
  await bench(lab, directory, options, say);
  return 0;
});
