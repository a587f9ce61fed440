import { spawn } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type Host, type Lab, run } from '../../lab/index.ts';
import { PerfReader } from './perf-script.ts';
import { StackTree } from './stack-tree.ts';

/** Makes V8 write names of its machine code where perf looks for them, /tmp/perf-PID.map. */
export const PERF_NODE_OPTIONS = '--perf-basic-prof';

/** `host.program` of each process, by pid. */
export type Labels = Map<number, string>;

/** Labels for processes of a host that run now. */
export async function labelsOf(host: Host): Promise<[number, string][]> {
  const pids = await host.pids();
  return Promise.all(pids.map(async (pid) => [pid, `${host.name}.${await programName(pid)}`]));
}

/** Samples per second and thread: not a divisor of any timer's frequency, so as not to beat with it. */
const FREQUENCY = 997;
/** The load's own start. */
const WARM_UP_MS = 1000;

/** Records the processes for so many seconds and returns the stacks of each thread, named by label and thread. */
export async function recordWithPerf(lab: Lab, labels: Labels, seconds: number): Promise<StackTree[]> {
  const data = join(await lab.directory('profiles'), 'perf.data');
  await pause(WARM_UP_MS);
  await run(
    'perf',
    [
      ...['record', '-q', '-F', String(FREQUENCY), '-g', '-o', data, '-p', [...labels.keys()].join(',')],
      ...['--', 'sleep', String(seconds)],
    ],
    { timeoutMs: seconds * 1000 + 30_000 },
  );
  const threads = await readThreads(data);
  const trees = new Map<string, StackTree>();
  for (const { pid, tid, command, samples } of threads.values()) {
    const thread = pid === tid ? 'main' : workerName(samples, command);
    const name = `${labels.get(pid) ?? pid}.${thread}`;
    const tree = trees.get(name) ?? new StackTree(name);
    trees.set(name, tree);
    for (const stack of samples) tree.add(stack, 1);
  }
  await rm(data);
  return [...trees.values()];
}

type Stack = Parameters<StackTree['add']>[0];
interface Thread {
  pid: number;
  tid: number;
  command: string;
  samples: Stack[];
}

async function readThreads(data: string): Promise<Map<number, Thread>> {
  const threads = new Map<number, Thread>();
  const reader = new PerfReader(({ pid, tid, command, stack }) => {
    const thread = threads.get(tid) ?? { pid, tid, command, samples: [] };
    threads.set(tid, thread);
    thread.samples.push(stack);
  });
  // --force: the recording is root's, whoever perf takes us for.
  const args = ['script', '--force', '-i', data, '-F', 'comm,pid,tid,ip,sym,dso'];
  const child = spawn('perf', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const line of createInterface({ input: child.stdout })) reader.line(line);
  reader.end();
  return threads;
}

/** `tincan` for /…/tincan/dist/main.js, `supervisor` for /…/supervisor-main.js. */
async function programName(pid: number): Promise<string> {
  const [, file = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return /([^/]+)-main\.js$/.exec(file)?.[1] ?? /([^/]+)\/dist\/[^/]+$/.exec(file)?.[1] ?? `process-${pid}`;
}

/** Node gives its workers no names that perf could see, but their files are in their stacks. */
function workerName(samples: readonly Stack[], command: string): string {
  for (const stack of samples) {
    for (const { name } of stack) {
      const worker = /([a-z-]+)-worker\.js:\d+$/.exec(name)?.[1];
      if (worker !== undefined) return worker;
    }
  }
  return command.replaceAll(/[^A-Za-z0-9-]+/g, '-');
}

/** Removes what V8 wrote for perf, and the log of each thread that it keeps besides in the process's directory, which is `/`. */
export async function removeTraces(pids: readonly number[]): Promise<void> {
  for (const pid of pids) await rm(`/tmp/perf-${pid}.map`, { force: true });
  const ours = new Set(pids.map(String));
  for (const file of await readdir('/')) {
    const pid = /^isolate-0x[0-9a-f]+-(\d+)-v8\.log$/.exec(file)?.[1];
    if (pid !== undefined && ours.has(pid)) await rm(join('/', file));
  }
}
