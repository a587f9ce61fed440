import { BlockList } from 'node:net';

/** This node's overlay addresses as they are now. */
export interface OverlayAddresses {
  ip4: string | null;
  prefixLength: number;
  ip6: string | null;
  prefixLength6: number;
}

/** Whether an address is within the network's own ranges: a link must not run through the network that it makes. */
export function isInOverlay(
  ip: string,
  { ip4, prefixLength, ip6, prefixLength6 }: OverlayAddresses,
): boolean {
  const range = new BlockList();
  if (ip4 !== null) range.addSubnet(ip4, prefixLength);
  if (ip6 !== null) range.addSubnet(ip6, prefixLength6, 'ipv6');
  return range.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4');
}
