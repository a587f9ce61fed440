import type { NetworkView, UdpClass } from '@kith/protocol';

/**
 * How long a node that can be reached by itself waits for a direct link, once it knows an address of the peer, before it asks TURN servers:
 * between machines on one LAN a link is up 150 to 300 ms after it was begun. A server's address that nobody needs costs both machines and the server as much as the rest of the link does.
 */
const LEAST_MS = 400;

/** The same on a machine so busy that its links take seconds: what they need least is more to do. */
const MOST_MS = 6_000;

/**
 * A node that has just started knows nothing of its network until a STUN server answers, which on the same continent takes less than this. Before
 * that was waited for, each node of a mesh asked for a relay for each of its first 32 links, since it began them before any server had answered.
 */
const UNKNOWN_MS = 150;
/** The same on a busy machine, where a hub that is on it answers late too. Nodes without UDP pay it with their first links. */
const MOST_UNKNOWN_MS = 500;

/** How long a link waits before it asks for a relay. */
export interface Patience {
  /** 0: not at all. */
  readonly ms: number;
  /** False: that may change within `ms`, which count from the link's beginning; true: they count from the peer's first address. */
  readonly isKnown: boolean;
}

export const NONE: Patience = { ms: 0, isKnown: true };

/** RFC 6298 §2.3: gain of the smoothed time. Its first measurement counts in full (§2.2): a node that comes among fifty learns from one link. */
const GAIN = 1 / 8;

/** Decides when the relay of a link is asked for. Pure; times in ms. */
export class RelayPatience {
  #upMs: number | undefined;
  /** The last one's: a node that comes among many takes longer with each of them, and each of them has one link to it. */
  #lastMs = 0;

  /** A link came up without a relay so long after the peer's addresses were known. */
  cameUp(afterMs: number): void {
    this.#lastMs = afterMs;
    this.#upMs = this.#upMs === undefined ? afterMs : this.#upMs + (afterMs - this.#upMs) * GAIN;
  }

  /**
   * How long to wait first. Where no address of ours can be told to a peer, which may be as badly off, or where UDP may be blocked, that is
   * not at all, however busy the machine: such a peer has no patience either, and its relay serves both.
   * @param network undefined: nobody looks at it
   * @param slowdown of this machine, see slowdown.ts
   * @param isMissed the link is to take the place of one that carried data until now: somebody waits for it
   */
  of(network: NetworkView | undefined, slowdown: number, isMissed = false): Patience {
    if (network === undefined || isMissed) return NONE;
    if (isUnknown(network)) return { ms: Math.min(UNKNOWN_MS * slowdown, MOST_UNKNOWN_MS), isKnown: false };
    if (!isReachable(network)) return NONE;
    const wanted = Math.max(LEAST_MS * slowdown, 2 * Math.max(this.#upMs ?? 0, this.#lastMs));
    return { ms: Math.min(wanted, MOST_MS), isKnown: true };
  }
}

/** Whether no server's answer has come, nor been missed, yet. */
function isUnknown({ ip4, ip6 }: NetworkView): boolean {
  return (
    (ip4 === 'unknown' && (ip6 === 'unknown' || ip6 === 'none')) || (ip4 === 'none' && ip6 === 'unknown')
  );
}

/** Whether UDP of a family comes from an address that others can send to, and nothing speaks against the other family. */
function isReachable({ ip4, ip6 }: NetworkView): boolean {
  const isGood = (udp: UdpClass): boolean => udp === 'open' || udp === 'same';
  // Hubs often have STUN by IPv4 alone.
  const isHarmless = (udp: UdpClass): boolean => isGood(udp) || udp === 'none' || udp === 'unknown';
  return (isGood(ip4) && isHarmless(ip6)) || (isGood(ip6) && isHarmless(ip4));
}
