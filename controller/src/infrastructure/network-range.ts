import { BlockList, isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { KithConfig } from '@kith/config';
import { ipFromBytes } from '@kith/protocol';
import { IP6_PREFIX_LENGTH, networkPrefix } from '../addressing/overlay-ip6.ts';
import type { NetworkRange } from './outside-names.ts';

/** The addresses of a network by its config: its IPv4 subnet and its IPv6 prefix. */
export function rangeOf({ network, xmpp }: Pick<KithConfig, 'network' | 'xmpp'>): NetworkRange {
  const list = new BlockList();
  list.addSubnet(network.subnet.address, network.subnet.prefix_length);
  const prefix = networkPrefix({ kind: network.kind, jid: xmpp.jid, group: network.group });
  list.addSubnet(ipFromBytes(Uint8Array.of(...prefix, ...new Uint8Array(8))), IP6_PREFIX_LENGTH, 'ipv6');
  return {
    contains: (ip) => isIP(ip) !== 0 && list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4'),
    isOwn: (ip) => (networkInterfaces()[network.interface] ?? []).some(({ address }) => address === ip),
  };
}
