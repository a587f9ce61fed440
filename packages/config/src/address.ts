import ipaddr from 'ipaddr.js';

/** An IPv4 address with the prefix of its network. */
export interface Ip4 {
  address: string;
  prefix_length: number;
}

/** Smallest and largest prefix of an overlay: /8 is the widest private range (RFC 1918), /30 the narrowest with two hosts. */
const MIN_PREFIX = 8;
const MAX_PREFIX = 30;

export const IP4_EXPECTED =
  'a host address with prefix length /8 to /30, like "172.31.0.1/24", that is neither the network\'s first nor its last address';

/** Parses `a.b.c.d/n`; undefined unless it is an address that a host in that network may have. */
export function parseIp4(text: string): Ip4 | undefined {
  const [address = '', prefix = '', ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,2}$/.test(prefix) || !ipaddr.IPv4.isValidFourPartDecimal(address))
    return undefined;
  const prefix_length = Number(prefix);
  if (prefix_length < MIN_PREFIX || prefix_length > MAX_PREFIX) return undefined;
  const host = ipaddr.IPv4.parse(address);
  const kind = host.range();
  if (kind === 'multicast' || kind === 'loopback' || kind === 'unspecified' || kind === 'broadcast')
    return undefined;
  const normal = host.toString();
  const cidr = `${normal}/${prefix_length}`;
  const edges = [ipaddr.IPv4.networkAddressFromCIDR(cidr), ipaddr.IPv4.broadcastAddressFromCIDR(cidr)];
  return edges.some((edge) => edge.toString() === normal) ? undefined : { address: normal, prefix_length };
}

export const SUBNET_EXPECTED =
  'an IPv4 network with prefix length /8 to /30, like "172.31.0.0/16": its first address, no other';

/** Parses `a.b.c.d/n`; undefined unless it is the first address of a network that parseIp4 would take hosts of. */
export function parseSubnet(text: string): Ip4 | undefined {
  const [address = '', prefix = '', ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,2}$/.test(prefix) || !ipaddr.IPv4.isValidFourPartDecimal(address))
    return undefined;
  const prefix_length = Number(prefix);
  if (prefix_length < MIN_PREFIX || prefix_length > MAX_PREFIX) return undefined;
  const kind = ipaddr.IPv4.parse(address).range();
  if (kind === 'multicast' || kind === 'loopback' || kind === 'broadcast') return undefined;
  const normal = ipaddr.IPv4.parse(address).toString();
  return networkOf({ address: normal, prefix_length }).address === normal
    ? { address: normal, prefix_length }
    : undefined;
}

/** The network that a host address lies in. */
export function networkOf({ address, prefix_length }: Ip4): Ip4 {
  return {
    address: ipaddr.IPv4.networkAddressFromCIDR(`${address}/${prefix_length}`).toString(),
    prefix_length,
  };
}

/** Parses `a.b.c.d` into its normal form; undefined when it is no IPv4 address. */
export function parsePlainIp4(text: string): string | undefined {
  return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text).toString() : undefined;
}

/** Whether an address is one that a host in the network may have: not the first and not the last. */
export function isHostOf(address: string, { prefix_length, address: network }: Ip4): boolean {
  const host = parseIp4(`${address}/${prefix_length}`);
  return host !== undefined && networkOf(host).address === network;
}

export interface HostPort {
  host: string;
  port: number;
}

// RFC 1123 §2.1 host names; a name of digits and dots only has to be an IPv4 address.
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;

/** Whether `host` is a DNS name, an IPv4 address or an IPv6 address without brackets. */
export function isHost(host: string): boolean {
  if (ipaddr.IPv6.isValid(host)) return true;
  return /^[\d.]+$/.test(host) ? ipaddr.IPv4.isValidFourPartDecimal(host) : HOST_NAME.test(host);
}

/** Parses `host`, `host:port`, `[v6]` or `[v6]:port`; undefined when it is none of these. */
export function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text);
  const groups = match?.groups;
  if (groups === undefined) return undefined;
  const host = groups.v6 ?? groups.name ?? '';
  const port = groups.port === undefined ? defaultPort : Number(groups.port);
  if (!isHost(host) || (groups.v6 !== undefined) !== host.includes(':')) return undefined;
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** The form that `parseHostPort` reads, IPv6 addresses in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** RFC 6120 §14.7 for xmpp; 5223 by custom (XEP-0368 leaves it to DNS); RFC 6455 §3 for wss. */
const HUB_PORTS: Record<string, number> = { 'xmpp:': 5222, 'xmpps:': 5223, 'wss:': 443 };

export const SERVER_EXPECTED = 'xmpps://host[:5223], xmpp://host[:5222] (STARTTLS) or wss://host[:443]/path';

/** Normalises a hub's URL, its port always named for xmpp(s); undefined when it is none that we can speak to safely. */
export function parseServer(text: string): string | undefined {
  const match = /^(xmpps?:|wss:)\/\/([^/?#@]+)(\/[^?#\s]*)?$/i.exec(text);
  const scheme = match?.[1]?.toLowerCase() ?? '';
  const authority = match?.[2];
  const path = match?.[3] ?? '';
  const defaultPort = HUB_PORTS[scheme];
  if (authority === undefined || defaultPort === undefined) return undefined;
  const parsed = parseHostPort(authority, defaultPort);
  if (parsed === undefined) return undefined;
  if (scheme !== 'wss:' && path !== '' && path !== '/') return undefined;
  return `${scheme}//${formatHostPort(parsed)}${scheme === 'wss:' ? path : ''}`;
}
