import type { Uid } from '@kith/protocol';
import type { Tenure } from './addressing/index.ts';
import type { KnownNodes } from './known-nodes.ts';

/** Who holds which static address, kept with the pins. What was held by one who is no member any more is free. */
export class PinnedTenure implements Tenure {
  readonly self: string;
  readonly #known: KnownNodes;
  readonly #isMember: (jid: string) => boolean;

  /**
   * @param self bare JID of this account
   * @param isMember whether a bare JID belongs to the network, as far as is known by now
   */
  constructor(known: KnownNodes, self: string, isMember: (jid: string) => boolean) {
    this.#known = known;
    this.self = self;
    this.#isMember = isMember;
  }

  memberOf(uid: Uid): string | undefined {
    return this.#known.jidOf(uid);
  }

  isVerified(uid: Uid): boolean {
    return this.#known.get(uid)?.verified === true;
  }

  heldSince(uid: Uid, ip4: string): string | undefined {
    const held = this.#known.get(uid)?.held;
    return held?.ip4 === ip4 ? held.since : undefined;
  }

  holders(ip4: string): readonly Uid[] {
    return this.#known.holders(ip4).filter((uid) => this.#isMember(this.#known.jidOf(uid) ?? ''));
  }

  addresses(): Iterable<string> {
    return [...this.#known.heldAddresses()].filter((ip4) => this.holders(ip4).length > 0);
  }

  hold(uid: Uid, ip4: string): void {
    const pin = this.#known.get(uid);
    if (pin !== undefined) this.#known.put(uid, { ...pin, held: { ip4, since: new Date().toISOString() } });
  }

  giveUp(uid: Uid): void {
    const pin = this.#known.get(uid);
    if (pin?.held === undefined) return;
    const { held: _, ...rest } = pin;
    this.#known.put(uid, rest);
  }
}
