import { readFile } from 'node:fs/promises';
import { SystemError } from '@kith/base';
import { type Usage, usage } from '../bench-vpn/processes.ts';
import type { KithNode } from '../lab/index.ts';

/** The main files by which the processes of a node are known. */
const MAIN_FILES = {
  supervisor: 'packages/cli/dist/supervisor-main.js',
  tincan: 'tincan/dist/main.js',
  controller: 'controller/dist/main.js',
} as const;

/** A process of a node under the name that tables show, e.g. `bob tincan`. */
export interface NodeProcess {
  name: string;
  pid: number;
}

/** The supervisor, tincan and the controller of each node. SystemError NOT_ONE when a node has more or fewer of one. */
export async function processesOf(...nodes: readonly KithNode[]): Promise<NodeProcess[]> {
  const found: NodeProcess[] = [];
  for (const node of nodes) {
    for (const which of ['supervisor', 'tincan', 'controller'] as const) {
      found.push({ name: `${node.host.name} ${which}`, pid: await pidOf(node, which) });
    }
  }
  return found;
}

/** Pid of one process of a node; SystemError NOT_ONE when it does not run exactly once. */
export async function pidOf(node: KithNode, which: keyof typeof MAIN_FILES): Promise<number> {
  const found: number[] = [];
  for (const pid of await node.host.pids()) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(MAIN_FILES[which])) found.push(pid);
  }
  const [pid] = found;
  if (pid === undefined || found.length !== 1) {
    throw new SystemError('NOT_ONE', `${found.length} processes of ${which} on ${node.host.name}`);
  }
  return pid;
}

/** CPU time and memory of each process now, in their order. */
export function usageOfEach(processes: readonly NodeProcess[]): Promise<Usage[]> {
  return Promise.all(processes.map(({ pid }) => usage([pid])));
}
