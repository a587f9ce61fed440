// The privileged part of `npm run bench`; scripts/bench.mjs does the set-up and starts it:  node main.js DIRECTORY [OPTION …]
// What is to be kept is written into DIRECTORY; scripts/bench.mjs puts it where it was asked for, with its own rights.
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { BugError, describeError } from '@kith/base';
import { Lab } from '../lab/index.ts';
import { barChart } from './chart.ts';
import { compare, compareOverWire } from './compare.ts';
import { type BenchOptions, parseOptions } from './options.mjs';
import { profileKith } from './profile/index.ts';
import { describeMachine, type Results, resultDocument, thisMachine } from './results.ts';
import { figureTables, ratioTable } from './table.ts';

let lab: Lab | undefined;
let interrupted = false;

/** What is said once everything is being removed would only be that everything fails. */
const say = (text: string): void => {
  if (!interrupted) process.stdout.write(`${text}\n`);
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    say('\nInterrupted: cleaning up');
    interrupted = true;
    void (lab?.abandon() ?? Promise.resolve())
      .catch((error) => process.stderr.write(`${describeError(error)}\n`))
      .finally(() => process.exit(130));
  });
}

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

async function bench(directory: string, options: BenchOptions): Promise<void> {
  const [load = 0] = os.loadavg();
  if (load > BUSY)
    say(`The machine is not idle (load ${load.toFixed(1)}): its other work will be in the figures`);
  lab = await Lab.create({ name: 'bench' });
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
try {
  await bench(directory, options);
  await lab?.destroy();
} catch (error) {
  if (!interrupted) {
    process.stderr.write(`\nFAILED: ${describeError(error)}\n`);
    process.exitCode = 1;
    await lab?.destroy().catch((problem) => process.stderr.write(`${describeError(problem)}\n`));
  }
}
