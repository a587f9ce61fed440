import type { ControlMessage, NetworkView } from '@kith/protocol';

type NetworkMessage = Extract<ControlMessage, { t: 'network' }>;

/** Tells the peer how UDP leaves this machine whenever that changes, and keeps what the peer tells. */
export class NetworkExchange {
  #told = '';
  #theirs: NetworkView | null = null;

  /** What the peer said last; null: nothing. */
  get theirs(): NetworkView | null {
    return this.#theirs;
  }

  /** What is to be sent now, if anything is news. */
  news(mine: NetworkView | undefined): NetworkMessage | undefined {
    if (mine === undefined) return undefined;
    const text = `${mine.ip4} ${mine.ip6}`;
    if (text === this.#told) return undefined;
    this.#told = text;
    return { t: 'network', ...mine };
  }

  receive({ v, ip4, ip6 }: NetworkMessage): void {
    this.#theirs = { v, ip4, ip6 };
  }
}
