import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execute, type Lab, type Say } from '../../lab/index.ts';
import { begin, makeStage } from '../compare.ts';
import type { BenchOptions } from '../options.mjs';
import type { Stage, System } from '../system.ts';
import { SYSTEMS } from '../systems/index.ts';
import { tcp } from '../workload.ts';
import { flameGraph } from './flame-graph.ts';
import { type Labels, labelsOf, PERF_NODE_OPTIONS, recordWithPerf, removeTraces } from './perf.ts';
import type { StackTree } from './stack-tree.ts';
import { readV8Profiles, v8NodeOptions } from './v8.ts';

/** Threads with a smaller share of all samples get no graph of their own: there is nothing to see in a handful of samples. */
const MIN_SHARE = 0.001;

/** Writes a flame graph of every thread of Kith's processes on both hosts under one TCP stream into `directory`. */
export async function profileKith(
  lab: Lab,
  options: BenchOptions,
  directory: string,
  say: Say,
): Promise<void> {
  const perf = (await execute('sh', ['-c', 'command -v perf'])).code === 0;
  say(
    perf
      ? 'Profiling with perf'
      : 'Profiling with V8 alone: perf (Debian package linux-perf) is not installed',
  );
  const plain = await makeStage(lab, options.tcp);
  const profiles = await lab.directory('profiles');
  // V8 writes as whoever the process is then, and the controller is nobody.
  await execute('chmod', ['1777', profiles]);
  const nodeOptions = perf ? PERF_NODE_OPTIONS : v8NodeOptions(profiles);
  const stage: Stage = { ...plain, profiled: { nodeOptions, commands: [] } };
  for (const name of options.only.filter((one) => one.startsWith('kith-'))) {
    const trees = await profile(stage, SYSTEMS[name], options.seconds, perf ? undefined : profiles, say);
    const total = trees.reduce((sum, tree) => sum + tree.root.weight, 0);
    const shown = trees.filter(({ root }) => root.weight >= total * MIN_SHARE);
    for (const tree of shown.sort((one, other) => other.root.weight - one.root.weight)) {
      const share = `${((100 * tree.root.weight) / total).toFixed(1)} %`;
      const title = `${name}: ${tree.root.frame.name}, ${share} of all samples of both hosts`;
      const file = `${name}.${tree.root.frame.name}.flame.svg`;
      await writeFile(join(directory, file), flameGraph(title, tree));
      say(`  ${share.padStart(7)}  ${file}`);
    }
  }
}

/** The stacks of every thread; none when the system cannot be started, which is said. */
async function profile(
  stage: Stage,
  system: System,
  seconds: number,
  v8Directory: string | undefined,
  say: Say,
): Promise<StackTree[]> {
  const session = await begin(stage, system);
  if (typeof session === 'string') {
    say(`${system.name}: ${session}`);
    return [];
  }
  const { client, server, lab } = stage;
  const labels: Labels = new Map([...(await labelsOf(client)), ...(await labelsOf(server))]);
  const load = tcp({ client, server, serverAddress: session.serverAddress }, seconds + 2, 1);
  try {
    const recorded = v8Directory === undefined ? await recordWithPerf(lab, labels, seconds) : undefined;
    const { mbps } = await load;
    say(`${system.name}: ${mbps.toFixed(0)} Mbit/s while profiled`);
    await session.stop();
    return recorded ?? (await readV8Profiles(v8Directory ?? '', labels));
  } finally {
    await load.catch(() => undefined);
    await session.stop().catch(() => undefined);
    await removeTraces([...labels.keys(), ...(stage.profiled?.commands ?? [])]);
  }
}
