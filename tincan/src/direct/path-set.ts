import type { DirectCandidate } from '@kith/protocol';
import { endpointText } from '../endpoint.ts';
import type { Address, RelayServer } from './direct-port.ts';
import { Path, type PathKind, type Source } from './path.ts';
import { type SizeLadder, SizeSearch } from './size-search.ts';

/** The peer's 32 candidates, some of them by way of TURN servers as well, and addresses that only we have seen. */
const MAX_PATHS = 64;

/** The peer's addresses that are tried by way of one TURN server: each takes a permission there, of which ejabberd grants 10 by default. */
const MAX_PATHS_PER_RELAY = 4;

export interface PathSetOptions {
  /** `isRelayed`: a TURN server adds its header to each datagram on one leg. */
  ladder(family: 4 | 6, isRelayed: boolean): SizeLadder;
  /** Addresses that must not be probed: our own overlay, and what no peer can have. */
  isForbidden(ip: string): boolean;
}

/** `ip:port`, an IPv6 address in brackets, and the TURN server that leads there; the addresses must be canonical. */
export function addressText(address: Address): string {
  const text = endpointText(address);
  return address.via === undefined ? text : `${text} via ${endpointText(address.via)}`;
}

/** The peer's addresses that are worth probing, bounded. Pure. */
export class PathSet implements Iterable<Path> {
  readonly #options: PathSetOptions;
  readonly #paths = new Map<string, Path>();

  constructor(options: PathSetOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): Iterator<Path> {
    return this.#paths.values();
  }

  get(address: Address): Path | undefined {
    return this.#paths.get(addressText(address));
  }

  /**
   * The peer's own list of its addresses, and the TURN servers that we may send by; they replace those before. What the list names no
   * more is kept while it works, but not what a server led to that is ours no more. Gives what was removed.
   */
  replace(list: readonly DirectCandidate[], relays: readonly RelayServer[], now: number): Path[] {
    const all: (DirectCandidate & Address)[] = [...list, ...relayedCandidates(list, relays)];
    const listed = new Set(all.map(addressText));
    const servers = new Set(relays.map(endpointText));
    const removed: Path[] = [];
    for (const path of this.#paths.values()) {
      const { via } = path.address;
      const isCut = via !== undefined && !servers.has(endpointText(via));
      if (!isCut && (listed.has(path.key) || path.kind === 'reflexive')) continue;
      if (!isCut && path.answers > 0) {
        path.kind = 'reflexive';
      } else {
        this.#paths.delete(path.key);
        removed.push(path);
      }
    }
    for (const candidate of all) {
      const path = this.get(candidate);
      if (path !== undefined) path.learn(candidate.kind);
      else this.add(candidate, candidate.kind, now);
    }
    return removed;
  }

  /** A new path; undefined when the address is forbidden or there is no room. */
  add({ ip, port, via, isPeersRelay }: Source, kind: PathKind, now: number): Path | undefined {
    if (this.#options.isForbidden(ip) || this.#paths.size >= MAX_PATHS) return undefined;
    const isRelayed = via !== undefined || kind === 'relay' || isPeersRelay === true;
    const size = new SizeSearch(this.#options.ladder(ip.includes(':') ? 6 : 4, isRelayed));
    const address = via === undefined ? { ip, port } : { ip, port, via };
    const path = new Path(address, addressText(address), kind, isRelayed, size, now);
    this.#paths.set(path.key, path);
    return path;
  }

  /** Makes room by removing the address seen by ourselves that has been silent longest, but not `except`. Gives what was removed. */
  makeRoom(except: Path | undefined): Path | undefined {
    if (this.#paths.size < MAX_PATHS) return undefined;
    let oldest: Path | undefined;
    for (const path of this.#paths.values()) {
      if (path === except || path.kind !== 'reflexive') continue;
      if (oldest === undefined || path.heardAt < oldest.heardAt) oldest = path;
    }
    if (oldest !== undefined) this.#paths.delete(oldest.key);
    return oldest;
  }
}

/**
 * The peer's addresses by way of our TURN servers, whose relayed addresses are of IPv4 (RFC 8656 §7.1). A server out there reaches no
 * host behind a NAT, so that an interface's address is only of use where no STUN server saw another.
 */
function relayedCandidates(
  list: readonly DirectCandidate[],
  relays: readonly RelayServer[],
): (DirectCandidate & { via: RelayServer })[] {
  const four = list.filter(({ ip }) => !ip.includes(':'));
  const hasMapped = four.some(({ kind }) => kind === 'mapped');
  const reachable = four.filter(({ kind }) => kind !== 'host' || !hasMapped).slice(0, MAX_PATHS_PER_RELAY);
  return relays.flatMap((via) => reachable.map((candidate) => ({ ...candidate, via })));
}
