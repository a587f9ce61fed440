import { SystemError } from '@kith/base';
import type { Host } from '../lab/index.ts';
import type { End } from './why.ts';
import type { World } from './world.ts';

function machines({ hub, relay }: World): Host[] {
  return [hub.host, ...(relay === undefined ? [] : [relay.host])];
}

/** Silences the UDP of the machine whose relay carries the pair, as when its power fails. XMPP on it goes on. */
export async function silenceRelayInUse(world: World, ends: readonly End[]): Promise<void> {
  const paths = await Promise.all(ends.map(async ({ node }) => (await node.status()).links[0]?.path ?? ''));
  const used = machines(world).find(({ ip4 }) => paths.some((path) => path.includes(`${ip4}:`)));
  if (used === undefined) throw new SystemError('NO_RELAY', `no relay in use: ${paths.join(', ')}`);
  const drop = (hook: string) =>
    `chain ${hook} {\n type filter hook ${hook} priority 0;\n meta l4proto udp drop\n }`;
  const rules = `table inet silent {\n ${drop('input')}\n ${drop('output')}\n}\n`;
  await used.run('nft', ['-f', '-'], { input: rules });
}

export async function restoreRelays(world: World): Promise<void> {
  for (const host of machines(world)) await host.exec('nft', ['delete', 'table', 'inet', 'silent']);
}
