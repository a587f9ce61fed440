import { isIP } from 'node:net';
import { SystemError } from '@kith/base';
import { hostsEntries, nameservers } from './resolver-files.ts';

/** Names whose last addresses are remembered: the hub's and those of some STUN and TURN servers. */
const MAX_REMEMBERED = 64;

/** What of the machine decides where names and addresses lead. */
export interface ResolverSystem {
  /** Text of /etc/resolv.conf and /etc/hosts; empty when there is none. */
  resolvConf(): string;
  hosts(): string;
  /** As all programs of the machine resolve. */
  lookup(host: string): Promise<string[]>;
  /** Asks these name servers and no other. */
  query(servers: readonly string[], host: string): Promise<string[]>;
  /** This machine's address from which a packet to `ip` would leave; undefined: there is no way. */
  sourceOf(ip: string): Promise<string | undefined>;
}

/** What of addresses belongs to the network itself. */
export interface NetworkRange {
  /** Whether members have addresses there. */
  contains(ip: string): boolean;
  /** Whether it is this machine's own address on the network's interface. */
  isOwn(ip: string): boolean;
}

/**
 * Addresses of what the network itself stands on: hub, STUN and TURN servers. Neither is their name asked of a name server inside the
 * network, nor is an address given that leads into it: a node that needs the network to find the network is lost when it is down.
 */
export class OutsideNames {
  readonly #system: ResolverSystem;
  readonly #range: NetworkRange;
  readonly #remembered = new Map<string, string[]>();

  constructor(system: ResolverSystem, range: NetworkRange) {
    this.#system = system;
    this.#range = range;
  }

  /**
   * The addresses of a host outside of the network; those of the last time where nobody can say now.
   * @throws SystemError NAMES_IN_NETWORK, ADDRESS_IN_NETWORK, NAME_UNKNOWN, or what the machine's resolver throws.
   */
  async resolve(host: string): Promise<string[]> {
    if (isIP(host) !== 0) return this.#outside(host, [host]);
    let addresses: string[];
    try {
      addresses = await this.#ask(host);
    } catch (error) {
      const before = this.#remembered.get(host);
      if (before === undefined) throw error;
      return this.#outside(host, before);
    }
    if (addresses.length === 0) throw new SystemError('NAME_UNKNOWN', `${host} has no address`);
    const outside = await this.#outside(host, addresses);
    this.#remember(host, outside);
    return outside;
  }

  /** Whether programs that resolve by themselves ask nobody inside the network. */
  async isSystemSafe(host: string): Promise<boolean> {
    if (isIP(host) !== 0 || hostsEntries(this.#system.hosts(), host).length > 0) return true;
    const servers = nameservers(this.#system.resolvConf());
    return (await this.#leadingOutside(servers)).length === servers.length;
  }

  async #ask(host: string): Promise<string[]> {
    const servers = nameservers(this.#system.resolvConf());
    const outside = await this.#leadingOutside(servers);
    if (outside.length === servers.length) return this.#system.lookup(host);
    // The machine's resolver would ask inside, so that its two sources are read here.
    const known = hostsEntries(this.#system.hosts(), host);
    if (known.length > 0) return known;
    if (outside.length > 0) return this.#system.query(outside, host);
    throw new SystemError(
      'NAMES_IN_NETWORK',
      `${host} is not asked of the name server ${servers.join(', ')}, which is reached through this network itself`,
      { field: '/etc/resolv.conf' },
    );
  }

  async #outside(host: string, addresses: readonly string[]): Promise<string[]> {
    const outside = await this.#leadingOutside(addresses);
    if (outside.length > 0) return outside;
    const which =
      addresses.length === 1 && addresses[0] === host ? host : `${host} (${addresses.join(', ')})`;
    throw new SystemError(
      'ADDRESS_IN_NETWORK',
      `${which} lies in this network itself, or the route to it leads into it; what the network stands on must be outside`,
      { field: 'network.subnet' },
    );
  }

  async #leadingOutside(addresses: readonly string[]): Promise<string[]> {
    const inside = await Promise.all(addresses.map((ip) => this.#leadsInside(ip)));
    return addresses.filter((_, index) => inside[index] === false);
  }

  async #leadsInside(ip: string): Promise<boolean> {
    if (this.#range.contains(ip)) return true;
    const source = await this.#system.sourceOf(ip);
    return source !== undefined && this.#range.isOwn(source);
  }

  #remember(host: string, addresses: string[]): void {
    this.#remembered.delete(host);
    this.#remembered.set(host, addresses);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }
}
