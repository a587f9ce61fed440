import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { canonicalIp } from '@kith/protocol';
import { type HubServer, hubHost } from './server-url.ts';
import type { Resolve } from './types.ts';

/**
 * Whether the name of the hub's host leads elsewhere than to `address`, to which there is a connection. A name with several addresses
 * of which an answer names only some looks the same: only a connection that is silent as well should be given up for it. Never rejects.
 */
export async function hasMoved(
  server: HubServer,
  address: string,
  resolve: Resolve = resolveByMachine,
): Promise<boolean> {
  const host = hubHost(server);
  if (isIP(host) !== 0) return false;
  try {
    const now = await resolve(host);
    return now.length > 0 && !now.some((one) => canonicalIp(one) === canonicalIp(address));
  } catch {
    // Nobody can say now, perhaps because this machine has no network: that is no sign of a move.
    return false;
  }
}

async function resolveByMachine(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
