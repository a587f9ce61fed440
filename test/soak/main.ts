// Runs a soak as root:  node main.js DIRECTORY [OPTION …]; soak.json is written into the directory.
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runInLab } from '../lab/index.ts';
import { parseOptions } from './options.mjs';
import { soak } from './soak.ts';

const [directory = '.', ...args] = process.argv.slice(2);
const options = parseOptions(args);
if (options === 'help') throw new RangeError('help is the business of scripts/soak.mjs');
await runInLab('soak', async (lab, say) => {
  const seed = options.seed ?? randomInt(2 ** 32);
  const result = await soak(lab, { seed, minutes: options.minutes, nodes: options.nodes }, say);
  await writeFile(join(directory, 'soak.json'), `${JSON.stringify(result, null, 2)}\n`);
  say(`checked: ${JSON.stringify(result.coverage)}`);
  for (const { process: name, seconds, first, last } of result.resources) {
    const figures = [first, last].map(
      (sample) => `${sample?.rss_mb.toFixed(0)} MB ${sample?.fds} fds ${sample?.threads} threads`,
    );
    if (seconds > 0) say(`${name.padEnd(16)} ${String(seconds).padStart(5)} s  ${figures.join('  →  ')}`);
  }
  const count = result.violations.length;
  say(`soak: seed ${seed}, ${result.steps} steps, ${count} violation${count === 1 ? '' : 's'}`);
  return count === 0 ? 0 : 1;
});
