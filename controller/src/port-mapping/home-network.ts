import { existsSync, readFileSync } from 'node:fs';
import { BlockList, isIPv4 } from 'node:net';
import { endianness, networkInterfaces } from 'node:os';

/** The network that this machine's IPv4 default route leads into. */
export interface HomeNetwork {
  interface: string;
  /** The router. */
  gateway: string;
  /** This machine's address in it. */
  localIp: string;
}

/** The line of a route in /proc/net/route: addresses are the four bytes of the address as a number of the machine's byte order. */
const ROUTE = /^(\S+)\s+([0-9A-F]{8})\s+([0-9A-F]{8})\s+([0-9A-F]{4})\s+\d+\s+\d+\s+(\d+)\s+([0-9A-F]{8})\s/;
/** linux/route.h: the route is usable, and leads to a router. */
const RTF_UP = 1;
const RTF_GATEWAY = 2;
const DEFAULT = '00000000';

export interface DefaultRoute {
  interface: string;
  gateway: string;
}

/** The IPv4 default route of least metric in the text of /proc/net/route, interfaces that are `excluded` left out. Pure. */
export function defaultRoute(
  text: string,
  isExcluded: (name: string) => boolean,
  isLittleEndian: boolean,
): DefaultRoute | undefined {
  let best: (DefaultRoute & { metric: number }) | undefined;
  for (const line of text.split('\n')) {
    const [, name = '', destination, gateway = '', flags = '', metricText, mask] = ROUTE.exec(line) ?? [];
    const wanted = RTF_UP | RTF_GATEWAY;
    if (destination !== DEFAULT || mask !== DEFAULT || (Number.parseInt(flags, 16) & wanted) !== wanted)
      continue;
    const metric = Number(metricText);
    if (isExcluded(name) || (best !== undefined && best.metric <= metric)) continue;
    const bytes = [...Buffer.from(gateway, 'hex')];
    best = { interface: name, gateway: (isLittleEndian ? bytes.reverse() : bytes).join('.'), metric };
  }
  return best === undefined ? undefined : { interface: best.interface, gateway: best.gateway };
}

/**
 * Reads where the default route leads now; undefined where there is none. A TUN or TAP device leads into a VPN, ours or another's,
 * where no router of this machine's is.
 */
export function readHomeNetwork(): HomeNetwork | undefined {
  let text: string;
  try {
    text = readFileSync('/proc/net/route', 'utf8');
  } catch {
    // A kernel without IPv4 has no such file.
    return undefined;
  }
  const route = defaultRoute(text, isTunnel, endianness() === 'LE');
  if (route === undefined) return undefined;
  const own = (networkInterfaces()[route.interface] ?? []).filter(({ address }) => isIPv4(address));
  const nearest = own.find(({ address, cidr }) => isNear(route.gateway, address, cidr)) ?? own[0];
  return nearest === undefined ? undefined : { ...route, localIp: nearest.address };
}

function isTunnel(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/tun_flags`);
}

function isNear(gateway: string, address: string, cidr: string | null): boolean {
  const range = new BlockList();
  range.addSubnet(address, Number(cidr?.split('/')[1] ?? 32));
  return range.check(gateway);
}
