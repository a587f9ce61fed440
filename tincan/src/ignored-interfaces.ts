import { networkInterfaces } from 'node:os';

/** The interfaces that the controller excluded from carrying links (IPOP's set_network_ignore_list). */
export class IgnoredInterfaces {
  #names: ReadonlySet<string> = new Set();

  /** Replaces the list. */
  set(names: readonly string[]): void {
    this.#names = new Set(names);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Whether an address is one that such an interface has now. */
  hasAddress(ip: string): boolean {
    if (this.#names.size === 0) return false;
    return Object.entries(networkInterfaces()).some(
      ([name, addresses]) => this.#names.has(name) && (addresses ?? []).some(({ address }) => address === ip),
    );
  }
}
