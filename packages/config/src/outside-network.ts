import { BlockList, isIPv4 } from 'node:net';
import { type Ip4, parseHostPort } from './address.ts';
import type { Problem } from './problem.ts';

/** A key of the config that names a server, and the host that stands there. */
export interface NamedServer {
  path: string;
  host: string;
}

/** The host in a hub's URL or in `host:port`. */
export function hostOf(server: string): string {
  const authority = /^(?:\w+:\/\/)?([^/]+)/.exec(server)?.[1] ?? '';
  return parseHostPort(authority, 1)?.host ?? '';
}

/** A network cannot stand on servers inside itself: their addresses would lead into it. Names are looked at when they are resolved. */
export function insideProblems(servers: readonly NamedServer[], subnet: Ip4): Problem[] {
  const range = new BlockList();
  range.addSubnet(subnet.address, subnet.prefix_length);
  return servers
    .filter(({ host }) => isIPv4(host) && range.check(host))
    .map(({ path, host }) => ({
      path,
      message: `is at ${host}, inside network.subnet ${subnet.address}/${subnet.prefix_length}; expected an address outside of the network that it makes`,
    }));
}
