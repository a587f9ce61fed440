import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KITH, type KithNode, type Lab, Reaper } from '../lab/index.ts';

// Only root may write here, so what `--stop` deletes as root was ordered by root. /run is emptied at boot, like namespaces.
const DIRECTORY = '/run/kith-demo';

/** Leaves the lab running and returns what a person should know about it. */
export async function keep(lab: Lab, nodes: readonly KithNode[]): Promise<string> {
  await lab.handOver(join(DIRECTORY, lab.id));
  const [first] = nodes;
  if (first === undefined) return '';
  const into = (node: KithNode): string => `sudo ip netns exec ${node.host.namespace}`;
  const lines = [
    '',
    'All of it is left running. Look inside, on any of the hosts:',
    ...nodes.map((node) => `  ${into(node)} bash`),
    'For example:',
    `  ${into(first)} ping 172.31.0.2`,
    `  ${into(first)} ${process.execPath} ${KITH} status -c ${first.configFile}`,
    `Configs, logs and ejabberd's files are in ${lab.dir}.`,
    'To stop it:',
    '  npm run demo -- --stop',
  ];
  return lines.join('\n');
}

/** Removes every demo that was kept; returns how many. */
export async function stopKept(): Promise<number> {
  const names = await readdir(DIRECTORY).catch(() => []);
  for (const name of names) {
    await Reaper.cleanFrom(await readFile(join(DIRECTORY, name), 'utf8'));
    await rm(join(DIRECTORY, name));
  }
  if (names.length > 0) await rmdir(DIRECTORY);
  return names.length;
}
