import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTimeOf } from '@kith/cli';
import type { KithNode } from '../lab/index.ts';
import type { Sample } from './trend.ts';

/** A process of a node. */
export interface NodeProcess {
  readonly name: 'supervisor' | 'tincan' | 'controller';
  readonly pid: number;
  /** In clock ticks since the machine started: the kernel gives a number out again, on a busy machine within the hour. */
  readonly startTime: number;
}

/** Whether both are one process: the same number, given out once. */
export function isSame(one: NodeProcess, other: NodeProcess): boolean {
  return one.pid === other.pid && one.startTime === other.startTime;
}

/** The processes of a node that run now; none when its supervisor does not. Read from files: no command is started. */
export async function processesOn(node: KithNode): Promise<NodeProcess[]> {
  const text = await readFile(join(node.runtimeDir, 'supervisor.pid'), 'utf8').catch(() => '');
  const supervisor = Number(/"pid":\s*(\d+)/.exec(text)?.[1] ?? Number.NaN);
  if (!Number.isInteger(supervisor) || (await nameOf(supervisor)) !== 'supervisor') return [];
  const children = await readFile(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8').catch(() => '');
  const found: NodeProcess[] = [];
  for (const pid of [supervisor, ...children.split(' ').filter(Boolean).map(Number)]) {
    const [name, startTime] = [await nameOf(pid), startTimeOf(pid)];
    if (name !== undefined && startTime !== undefined) found.push({ name, pid, startTime });
  }
  return found;
}

/** What a process holds now; undefined when it is gone. */
export async function sampleOf(pid: number, at: number): Promise<Sample | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const fds = (await readdir(`/proc/${pid}/fd`)).length;
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
    // VmRSS is in KiB, missing in a process that is ending; a megabyte is 10^6 bytes.
    const rss = (field('VmRSS') * 1024) / 1e6;
    return Number.isNaN(rss) ? undefined : { at, rss_mb: rss, fds, threads: field('Threads') };
  } catch {
    return undefined;
  }
}

async function nameOf(pid: number): Promise<NodeProcess['name'] | undefined> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (command.includes('supervisor-main.js')) return 'supervisor';
  if (command.includes('tincan/dist/main.js')) return 'tincan';
  return command.includes('controller/dist/main.js') ? 'controller' : undefined;
}
