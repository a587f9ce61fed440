import type { DirectCandidate } from '@kith/protocol';
import type { Address } from './direct-port.ts';
import { Path, type PathKind } from './path.ts';
import { type SizeLadder, SizeSearch } from './size-search.ts';

/** The peer's 32 candidates, and addresses that only we have seen. */
const MAX_PATHS = 48;

export interface PathSetOptions {
  ladder(family: 4 | 6): SizeLadder;
  /** Addresses that must not be probed: our own overlay, and what no peer can have. */
  isForbidden(ip: string): boolean;
}

/** `ip:port`, an IPv6 address in brackets; the addresses must be canonical. */
export function addressText({ ip, port }: Address): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
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
   * The peer's own list of its addresses, which replaces the one before. What it names no more is kept while it works.
   * Gives what was removed.
   */
  replace(list: readonly DirectCandidate[], now: number): Path[] {
    const listed = new Set(list.map(addressText));
    const removed: Path[] = [];
    for (const path of this.#paths.values()) {
      if (listed.has(path.key) || path.kind === 'reflexive') continue;
      if (path.answers > 0) {
        path.kind = 'reflexive';
      } else {
        this.#paths.delete(path.key);
        removed.push(path);
      }
    }
    for (const candidate of list) {
      const path = this.get(candidate);
      if (path !== undefined) path.kind = candidate.kind;
      else this.add(candidate, candidate.kind, now);
    }
    return removed;
  }

  /** A new path; undefined when the address is forbidden or there is no room. */
  add({ ip, port }: Address, kind: PathKind, now: number): Path | undefined {
    if (this.#options.isForbidden(ip) || this.#paths.size >= MAX_PATHS) return undefined;
    const size = new SizeSearch(this.#options.ladder(ip.includes(':') ? 6 : 4));
    const path = new Path({ ip, port }, addressText({ ip, port }), kind, size, now);
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
