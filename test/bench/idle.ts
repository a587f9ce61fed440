// CPU time of a pair of linked nodes that have nothing to carry.
import { setTimeout as pause } from 'node:timers/promises';
import { carrierOf, startPair } from '../lab/index.ts';
import { rounded, runBench, table } from './bench.ts';
import { processesOf, usageOfEach } from './node-processes.ts';

await runBench({
  name: 'idle',
  // What a start leaves behind (compiling, path searches, first rosters) is over after the settling.
  options: { settle: 20, seconds: 30 },
  work: async ({ lab, options, channelOnly }) => {
    const { alice, bob } = await startPair(lab, channelOnly);
    const processes = await processesOf(alice, bob);
    await pause(options.settle * 1000);
    const before = await usageOfEach(processes);
    await pause(options.seconds * 1000);
    const after = await usageOfEach(processes);
    const results = processes.map(({ name }, index) => {
      const cpu = (after[index]?.cpuSeconds ?? 0) - (before[index]?.cpuSeconds ?? 0);
      return {
        name,
        cpu_percent: rounded((cpu / options.seconds) * 100, 2),
        rss_mb: rounded(after[index]?.rssMegabytes ?? 0),
      };
    });
    table(
      ['process', 'CPU %', 'RSS MB'],
      results.map(({ name, cpu_percent, rss_mb }) => [name, cpu_percent, rss_mb]),
    );
    return { carrier: await carrierOf(bob), results };
  },
});
