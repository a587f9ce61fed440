import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** What of the machine tells tunnels from cards. */
export interface InterfaceFacts {
  /** A TUN or TAP device: made by a program, which sends elsewhere what it is given. */
  isTunnel(name: string): boolean;
  /** Text of /proc/net/route and /proc/net/ipv6_route. */
  routes4(): string;
  routes6(): string;
}

/** linux/route.h */
const RTF_UP = 1;
/** linux/ipv6_route.h: the kernel's own entry for "no way", on the loopback interface. */
const RTF_REJECT = 0x200;

/** Interfaces that default routes lead through, by the texts of the two files. Pure. */
export function defaultInterfaces(routes4: string, routes6: string): Set<string> {
  const found = new Set<string>();
  for (const line of routes4.split('\n')) {
    const [name, destination, , flags, , , , mask] = line.split(/\s+/);
    if (destination !== '00000000' || mask !== '00000000' || name === undefined) continue;
    if ((Number.parseInt(flags ?? '', 16) & RTF_UP) !== 0) found.add(name);
  }
  for (const line of routes6.split('\n')) {
    const [destination, length, , , , , , , flagText, name] = line.trim().split(/\s+/);
    if (length !== '00' || destination !== '0'.repeat(32) || name === undefined) continue;
    const flags = Number.parseInt(flagText ?? '', 16);
    if ((flags & RTF_UP) !== 0 && (flags & RTF_REJECT) === 0) found.add(name);
  }
  return found;
}

/**
 * Whether links must not run over an interface because it is another network's tunnel: two networks that carry each other send every
 * packet round and round. A tunnel that the default route leads through is this machine's way out (a VPN that takes everything, a
 * container's only card) and carries links like any card.
 */
export function isForeignTunnel(name: string, facts: InterfaceFacts = machine): boolean {
  return facts.isTunnel(name) && !defaultInterfaces(facts.routes4(), facts.routes6()).has(name);
}

/** Whether such an interface has this address now. */
export function isTunnelAddress(ip: string): boolean {
  return Object.entries(networkInterfaces()).some(
    ([name, addresses]) => (addresses ?? []).some(({ address }) => address === ip) && isForeignTunnel(name),
  );
}

const machine: InterfaceFacts = {
  // drivers/net/tun.c: only its devices have the file.
  isTunnel: (name) => existsSync(`/sys/class/net/${name}/tun_flags`),
  routes4: () => readText('/proc/net/route'),
  routes6: () => readText('/proc/net/ipv6_route'),
};

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // A kernel without that family has no such file.
    return '';
  }
}
