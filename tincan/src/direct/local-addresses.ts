import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import { canonicalIp, type DirectCandidate, MAX_DIRECT_CANDIDATES } from '@kith/protocol';
import type { Address } from './direct-port.ts';
import { addressText } from './path-set.ts';

/** Default names of Kith's TAP interfaces begin so; a link of one network must not run through another. */
const KITH_INTERFACE_PREFIX = 'kith-';

/** One address of an interface of this machine. */
export interface LocalAddress {
  interface: string;
  ip: string;
  /** Bytes; undefined where the machine does not say. */
  mtu: number | undefined;
}

/** Reads the addresses of all interfaces that are up. */
export function readLocalAddresses(): LocalAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) => {
    const mtu = readMtu(name);
    return (addresses ?? []).flatMap(({ address, internal }) => {
      const ip = internal ? undefined : canonicalIp(address);
      return ip === undefined ? [] : [{ interface: name, ip, mtu }];
    });
  });
}

function readMtu(name: string): number | undefined {
  try {
    const mtu = Number.parseInt(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'), 10);
    return Number.isNaN(mtu) ? undefined : mtu;
  } catch {
    // An interface may go between the list and the question, and an alias has no entry of its own.
    return undefined;
  }
}

/** Addresses that no other node can have or reach us at: RFC 6890 for IPv4, RFC 4291 for IPv6. */
const UNUSABLE = new BlockList();
UNUSABLE.addSubnet('0.0.0.0', 8);
UNUSABLE.addSubnet('127.0.0.0', 8);
UNUSABLE.addSubnet('224.0.0.0', 3);
UNUSABLE.addAddress('::', 'ipv6');
UNUSABLE.addAddress('::1', 'ipv6');
UNUSABLE.addSubnet('ff00::', 8, 'ipv6');
// Link-local IPv6 needs a zone, which means nothing to anybody else.
UNUSABLE.addSubnet('fe80::', 10, 'ipv6');

/** Whether an address may be probed at all. Overlay addresses are the caller's business. */
export function isUsableIp(ip: string): boolean {
  return !UNUSABLE.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4');
}

/** What of this machine's addresses the peers are told. */
export interface CandidateRules {
  /** The TAP interface of this network. */
  ownInterface: string;
  /** The port of the direct carrier's socket. */
  port: number;
  family: 4 | 6 | 'dual';
  isOverlay(ip: string): boolean;
}

/** The interfaces that may carry links. */
export function carryingAddresses(all: readonly LocalAddress[], rules: CandidateRules): LocalAddress[] {
  return all.filter(
    ({ interface: name, ip }) =>
      name !== rules.ownInterface &&
      !name.startsWith(KITH_INTERFACE_PREFIX) &&
      isUsableIp(ip) &&
      !rules.isOverlay(ip) &&
      (rules.family === 'dual' || rules.family === (ip.includes(':') ? 6 : 4)),
  );
}

/** Candidates for the peers: mapped addresses first, because there are few of them and they must not be cut off. */
export function directCandidates(
  carrying: readonly LocalAddress[],
  mapped: readonly Address[],
  rules: CandidateRules,
): DirectCandidate[] {
  const list = new Map<string, DirectCandidate>();
  const hosts = carrying.map(({ ip }): DirectCandidate => ({ ip, port: rules.port, kind: 'host' }));
  const own = new Set(hosts.map(addressText));
  for (const address of mapped) {
    // Without a NAT a server sees what the interface has.
    if (own.has(addressText(address)) || !isUsableIp(address.ip) || rules.isOverlay(address.ip)) continue;
    list.set(addressText(address), { ...address, kind: 'mapped' });
  }
  for (const host of hosts) list.set(addressText(host), host);
  return [...list.values()].slice(0, MAX_DIRECT_CANDIDATES);
}
