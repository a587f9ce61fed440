// The privileged part of `npm run natlab`; scripts/natlab.mjs does the set-up and starts it:  node main.js DIRECTORY [OPTION …]
// What is to be kept is written into DIRECTORY; scripts/natlab.mjs puts it where it was asked for, with its own rights.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BugError } from '@kith/base';
import { type Lab, runInLab, type Say } from '../lab/index.ts';
import { type CellResult, measureCell } from './cell.ts';
import { htmlGrid, shortCell, textGrid } from './grid.ts';
import { type NatlabOptions, parseOptions } from './options.mjs';
import { oneAtATime, runJobs } from './schedule.ts';
import type { End } from './why.ts';
import { World } from './world.ts';

async function keepLogs(directory: string, { a, b }: CellResult, ends: readonly End[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const { end, node } of ends) {
    const target = join(directory, `${a}--${b}-${end}.log`);
    await copyFile(node.logFile, target).catch(() => undefined);
  }
}

async function measureAll(
  lab: Lab,
  directory: string,
  options: NatlabOptions,
  say: Say,
): Promise<CellResult[]> {
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
await runInLab('natlab', async (lab, say) => {
  const startedAt = performance.now();
  const cells = await measureAll(lab, directory, options, say);
  say(`\n${textGrid(cells)}`);
  say(`${Math.round((performance.now() - startedAt) / 1000)} s`);
  await writeFile(join(directory, 'natlab.json'), `${JSON.stringify({ cells }, null, 2)}\n`);
  await writeFile(join(directory, 'natlab.html'), htmlGrid(cells, new Date().toISOString().slice(0, 10)));
  return cells.every(({ ok }) => ok) ? 0 : 1;
});
