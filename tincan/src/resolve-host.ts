import { lookup } from 'node:dns/promises';

/** All addresses of a host name, or the address itself, in the system's order. Rejects when there are none. */
export async function resolveHost(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
