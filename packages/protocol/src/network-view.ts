import { z } from 'zod';

/**
 * How UDP of one address family leaves a machine, as its own socket shows it (RFC 4787 §4.1):
 * - `open`: servers see the address that the interface has
 * - `same`: a NAT uses one outer address for all destinations
 * - `per-destination`: a NAT uses another outer address for each destination, so that nobody can be told where to send to
 * - `nat`: a NAT of which too few have told what they see
 * - `silent`: there is an address, and nobody who was asked answers
 * - `none`: there is no address of this family
 * - `unknown`: nobody was asked, or the answers are not due yet
 */
export const UDP_CLASSES = ['open', 'same', 'per-destination', 'nat', 'silent', 'none', 'unknown'] as const;
export type UdpClass = (typeof UDP_CLASSES)[number];

/** A class that a later version may name is one that we do not know. */
const udpClass = z.enum(UDP_CLASSES).catch('unknown');

/** What a node knows of its own network; tells the other end why a link is as it is, and decides nothing. */
export const networkView = z.object({ v: z.literal(1), ip4: udpClass, ip6: udpClass });
export type NetworkView = z.output<typeof networkView>;

/** A node that understands `network` messages says so in hello's features. */
export const NETWORK_FEATURE = 'network/1';

/** An end tells how UDP leaves its machine, whenever that changes. */
export const networkMessage = networkView.extend({ t: z.literal('network') });

export const UNKNOWN_NETWORK: NetworkView = { v: 1, ip4: 'unknown', ip6: 'unknown' };

export interface UdpEndpoint {
  ip: string;
  port: number;
}

/** What is known of one family; all addresses canonical and of that family. */
export interface UdpEvidence {
  /** Our socket's addresses on the interfaces. */
  own: readonly UdpEndpoint[];
  /** One entry for each address of a server that was asked from that socket. */
  servers: readonly {
    /** Where the server saw the request come from; null: no answer. */
    mapped: UdpEndpoint | null;
    /** A whole round of requests had no answer. */
    isOverdue: boolean;
  }[];
  /** Where peers saw our datagrams come from. */
  peers: readonly UdpEndpoint[];
}

/** Judges one family by what servers and peers saw of the very same socket. Pure. */
export function classifyUdp({ own, servers, peers }: UdpEvidence): UdpClass {
  if (own.length === 0) return 'none';
  const isOwn = (seen: UdpEndpoint) => own.some((address) => keyOf(address) === keyOf(seen));
  const seen = servers.flatMap(({ mapped }) => (mapped === null ? [] : [mapped]));
  if (seen.length === 0) {
    if (servers.length === 0 || peers.length > 0) return 'unknown';
    return servers.every(({ isOverdue }) => isOverdue) ? 'silent' : 'unknown';
  }
  // A server on our side of the NAT says nothing of the NAT.
  const outside = seen.filter((endpoint) => !isOwn(endpoint));
  if (outside.length === 0) return 'open';
  // Peers may be on our side, or have another NAT between; what they see counts where it is the same NAT's address.
  const outer = new Set(outside.map(({ ip }) => ip));
  const witnesses = [...outside, ...peers.filter((endpoint) => outer.has(endpoint.ip))];
  if (new Set(witnesses.map(keyOf)).size > 1) return 'per-destination';
  return witnesses.length > 1 ? 'same' : 'nat';
}

function keyOf({ ip, port }: UdpEndpoint): string {
  return `${ip} ${port}`;
}
