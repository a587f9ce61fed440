import type { Uid } from '@kith/protocol';

/** Which link has which overlay address. The first claim stands until its link is gone. */
export class AddressBook {
  readonly #holders = new Map<string, Uid>();

  /** Gives the address to a link; when another one has it, says which. */
  claim(address: string, uid: Uid): Uid | undefined {
    const holder = this.#holders.get(address);
    if (holder !== undefined && holder !== uid) return holder;
    this.#holders.set(address, uid);
    return undefined;
  }

  /** Takes all its addresses from a link. */
  release(uid: Uid): void {
    for (const [address, holder] of this.#holders) if (holder === uid) this.#holders.delete(address);
  }
}
