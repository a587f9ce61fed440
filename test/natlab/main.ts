// The privileged part of `npm run natlab`; scripts/natlab.mjs does the set-up and starts it:  node main.js DIRECTORY [OPTION …]
// What is to be kept is written into DIRECTORY; scripts/natlab.mjs puts it where it was asked for, with its own rights.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BugError, describeError } from '@kith/base';
import { Lab } from '../lab/index.ts';
import { type CellResult, measureCell } from './cell.ts';
import { htmlGrid, shortCell, textGrid } from './grid.ts';
import { type NatlabOptions, parseOptions } from './options.mjs';
import { oneAtATime, runJobs } from './schedule.ts';
import type { End } from './why.ts';
import { World } from './world.ts';

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

async function keepLogs(directory: string, { a, b }: CellResult, ends: readonly End[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const { end, node } of ends) {
    const target = join(directory, `${a}--${b}-${end}.log`);
    await copyFile(node.logFile, target).catch(() => undefined);
  }
}

async function measureAll(directory: string, options: NatlabOptions): Promise<CellResult[]> {
  lab = await Lab.create({ name: 'natlab' });
  const world = await World.create(lab);
  const alone = oneAtATime();
  let done = 0;
  const jobs = options.cells.map(({ a, b }) => ({
    needs: [`${a.id}-a`, `${b.id}-b`],
    run: async (): Promise<CellResult> => {
      const result = await measureCell(world, a, b, {
        patienceMs: options.patienceS * 1000,
        seconds: options.seconds,
        alone,
        onShort: (short, ends) =>
          options.logs === undefined ? Promise.resolve() : keepLogs(join(directory, 'logs'), short, ends),
      });
      done++;
      const { expected, direct_ms, tcp_mbps, why, ok } = result;
      const figures = [
        direct_ms === null ? '' : `, direct after ${direct_ms} ms`,
        tcp_mbps === null ? '' : `, TCP ${tcp_mbps} Mbit/s`,
        ok ? '' : ` -- ${why}`,
      ];
      say(
        `${done}/${options.cells.length} ${a.id} × ${b.id}: expected ${expected}, ${shortCell(result)} ms${figures.join('')}`,
      );
      return result;
    },
  }));
  return runJobs(jobs, options.parallel);
}

const [directory, ...args] = process.argv.slice(2);
const options = parseOptions(args);
if (directory === undefined || options === 'help') throw new BugError('NATLAB_START', 'started by hand');
try {
  const startedAt = performance.now();
  const cells = await measureAll(directory, options);
  say(`\n${textGrid(cells)}`);
  say(`${Math.round((performance.now() - startedAt) / 1000)} s`);
  await writeFile(join(directory, 'natlab.json'), `${JSON.stringify({ cells }, null, 2)}\n`);
  await writeFile(join(directory, 'natlab.html'), htmlGrid(cells, new Date().toISOString().slice(0, 10)));
  if (cells.some(({ ok }) => !ok)) process.exitCode = 1;
  await lab?.destroy();
} catch (error) {
  if (!interrupted) {
    process.stderr.write(`\nFAILED: ${describeError(error)}\n`);
    process.exitCode = 1;
    await lab?.destroy().catch((problem) => process.stderr.write(`${describeError(problem)}\n`));
  }
}
