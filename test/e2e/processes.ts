import { readFile } from 'node:fs/promises';
import type { Host } from '../lab/index.ts';

/** The main files by which Kith's processes are known on a host. */
const MAIN_FILES = {
  tincan: 'tincan/dist/main.js',
  controller: 'controller/dist/main.js',
  gateway: 'controller/dist/gateway/main.js',
} as const;

/** Pid of one of Kith's processes on a host; fails when there is not exactly one. */
export async function processOf(host: Host, which: keyof typeof MAIN_FILES): Promise<number> {
  const found: number[] = [];
  for (const pid of await host.pids()) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(MAIN_FILES[which])) found.push(pid);
  }
  const [pid] = found;
  if (pid === undefined || found.length !== 1) {
    throw new Error(`${found.length} processes of ${which} on ${host.name}`);
  }
  return pid;
}
