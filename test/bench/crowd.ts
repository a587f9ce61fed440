import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SystemError } from '@kith/base';
import type { Ejabberd, Lab } from '../lab/index.ts';

/** What the process of a crowd is told, as one line of JSON in its arguments. */
export interface CrowdStart {
  readonly domain: string;
  readonly server: string;
  readonly caFile: string;
  readonly users: readonly string[];
}

/** The UID that a user's node pretends to. No certificate hashes to it, so nobody will ever link to it. */
export function crowdUid(user: string): string {
  return createHash('sha256').update(user).digest('hex').slice(0, 40);
}

/** Members that are online and say where their nodes are, without any node behind it: bare sessions of one process. */
export async function startCrowd(
  lab: Lab,
  hub: Ejabberd,
  users: readonly string[],
): Promise<{ stop(): void }> {
  const host = await lab.host('crowd');
  const start: CrowdStart = {
    ...{
      domain: hub.domain,
      server: `xmpp://${hub.domain}:${hub.ports.starttls}`,
      caFile: hub.caFile,
      users,
    },
  };
  const program = fileURLToPath(new URL('crowd-main.js', import.meta.url));
  const child = host.spawn(process.execPath, [program, JSON.stringify(start)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await ready(child);
  return { stop: () => void child.kill('SIGKILL') };
}

async function ready({ stdout }: ChildProcess): Promise<void> {
  if (stdout !== null)
    for await (const line of createInterface({ input: stdout })) if (line === 'ready') return;
  throw new SystemError('NO_CROWD', 'the process of the crowd ended before all were online');
}
