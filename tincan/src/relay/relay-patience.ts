import type { NetworkView, UdpClass } from '@kith/protocol';

/**
 * How long a node that can be reached by itself waits for a direct link, once it knows an address of the peer, before it asks TURN servers:
 * between machines on one LAN a link is up 150 to 300 ms after it was begun. A server's address that nobody needs costs both machines and the server as much as the rest of the link does.
 */
const LEAST_MS = 400;

/** The same on a machine so busy that its links take seconds: what they need least is more to do. */
const MOST_MS = 6_000;

/** RFC 6298 §2.3: gain of the smoothed time. Its first measurement counts in full (§2.2): a node that comes among fifty learns from one link. */
const GAIN = 1 / 8;

/** Decides when the relay of a link is asked for. Pure; times in ms. */
export class RelayPatience {
  #upMs: number | undefined;

  /** A link came up without a relay so long after the peer's addresses were known. */
  cameUp(afterMs: number): void {
    this.#upMs = this.#upMs === undefined ? afterMs : this.#upMs + (afterMs - this.#upMs) * GAIN;
  }

  /**
   * How long to wait first. Where no address of ours can be told to a peer, which may be as badly off, or where UDP may be blocked, that is
   * not at all: such a peer has no patience either, and its relay serves both.
   */
  ms(network: NetworkView | undefined): number {
    if (network === undefined || !isReachable(network)) return 0;
    return Math.min(Math.max(LEAST_MS, 2 * (this.#upMs ?? 0)), MOST_MS);
  }
}

/** Whether UDP of a family comes from an address that others can send to, and nothing speaks against the other family. */
function isReachable({ ip4, ip6 }: NetworkView): boolean {
  const isGood = (udp: UdpClass): boolean => udp === 'open' || udp === 'same';
  // Hubs often have STUN by IPv4 alone.
  const isHarmless = (udp: UdpClass): boolean => isGood(udp) || udp === 'none' || udp === 'unknown';
  return (isGood(ip4) && isHarmless(ip6)) || (isGood(ip6) && isHarmless(ip4));
}
