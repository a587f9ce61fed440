import { BlockList, isIPv4 } from 'node:net';

/** IPv4 addresses that nobody on the internet can send to (RFC 6890). The ranges of documentation are left in: labs live there. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE.addSubnet(network, prefix);
}

/** Why an outer address and port that a router names are of no use to others; null: they may be. */
export function whyUseless(ip: string, port: number): string | null {
  if (!isIPv4(ip) || port < 1 || port > 65_535) return 'the router names no usable address';
  if (PRIVATE.check(ip))
    return `the router's own outer address ${ip} is private: another NAT is in front of it`;
  return null;
}
