import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readCpuProfile } from './cpu-profile.ts';
import type { Labels } from './perf.ts';
import type { StackTree } from './stack-tree.ts';

/** Makes every thread of a node process profile itself and write `directory`/PID.THREAD.cpuprofile at its end. */
export function v8NodeOptions(directory: string): string {
  const preload = pathToFileURL(fileURLToPath(new URL('./cpu-profile-preload.mjs', import.meta.url)));
  preload.search = encodeURIComponent(directory);
  return `--import ${preload.href}`;
}

/** The profiles that ended processes left, named by label and thread. */
export async function readV8Profiles(directory: string, labels: Labels): Promise<StackTree[]> {
  const trees: StackTree[] = [];
  for (const file of await readdir(directory)) {
    const [, pid, thread] = /^(\d+)\.(.+)\.cpuprofile$/.exec(file) ?? [];
    const label = labels.get(Number(pid));
    if (label === undefined) continue;
    trees.push(readCpuProfile(`${label}.${thread}`, await readFile(join(directory, file), 'utf8')));
  }
  return trees;
}
