import { classifyUdp, type NetworkView, type UdpClass } from '@kith/protocol';
import type { Endpoint } from '../endpoint.ts';
import type { ServerView } from './stun-client.ts';

export interface NetworkEvidence {
  family: 4 | 6 | 'dual';
  /** Addresses of the interfaces that may carry links. */
  local: readonly string[];
  /** The socket's port. */
  port: number;
  servers: readonly ServerView[];
  /** Where peers saw our datagrams come from lately. */
  peers: readonly Endpoint[];
}

/** How UDP leaves this machine by the node's own socket. Pure. */
export function ownNetwork(evidence: NetworkEvidence): NetworkView {
  return { v: 1, ip4: classOf(4, evidence), ip6: classOf(6, evidence) };
}

function classOf(family: 4 | 6, { family: has, local, port, servers, peers }: NetworkEvidence): UdpClass {
  if (has !== 'dual' && has !== family) return 'none';
  const isOfFamily = ({ ip }: { ip: string }): boolean => ip.includes(':') === (family === 6);
  return classifyUdp({
    own: local.map((ip) => ({ ip, port })).filter(isOfFamily),
    servers: servers.filter(({ server }) => isOfFamily(server)),
    peers: peers.filter(isOfFamily),
  });
}
