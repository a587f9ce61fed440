/**
 * A connection that died without a word (a suspended host, a NAT that forgot) is noticed within 7 s of silence plus 8 s for an
 * answer: 15 s, inside the 20 s that a node may be unreachable for signals. A hub whose name leads to another address is left after
 * 7 s and one more, so that a node is signed in there within 10 s. A probe every 7 s is 60 bytes, and shorter than the NAT
 * timeouts of mobile networks.
 */
export const IDLE_MS = 7_000;
/**
 * Debian's ejabberd reads a busy client at 3 kB/s only. Output is held to a window of 12 KiB (see session), which then delays a probe
 * by 4 s; twice that is not taken for death.
 */
export const ANSWER_MS = 8_000;

/** How long an answer may take before it is asked whether the hub has moved, or when something else says that the connection may be dead. */
const CHECK_MS = 1_000;
/** What Debian's ejabberd reads of a busy client, in bytes per ms. */
const SLOW_HUB = 3;

/**
 * How long to wait for a sign of life when there is a reason for doubt, ms.
 * @param unackedBytes what the hub has still to read before it comes to the probe
 */
export function checkMs(unackedBytes: number): number {
  return CHECK_MS + unackedBytes / SLOW_HUB;
}

export interface KeepaliveStep {
  action: 'wait' | 'probe' | 'dead';
  /** When to look again, in milliseconds from now. */
  delayMs: number;
}

/**
 * What to do now on a connection that was last heard at `heardAt` and last probed at `probedAt` (-Infinity if never), both at most
 * `now`, on one clock in milliseconds.
 */
export function keepaliveStep(heardAt: number, probedAt: number, now: number): KeepaliveStep {
  if (probedAt > heardAt) {
    const left = probedAt + ANSWER_MS - now;
    return left <= 0 ? { action: 'dead', delayMs: 0 } : { action: 'wait', delayMs: left };
  }
  const left = heardAt + IDLE_MS - now;
  return left <= 0 ? { action: 'probe', delayMs: ANSWER_MS } : { action: 'wait', delayMs: left };
}
