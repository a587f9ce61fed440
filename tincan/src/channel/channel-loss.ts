/**
 * A peer whom the direct carrier heard within this time is there, while data flows: then a path is probed each second and tried again
 * each quarter of one.
 */
const BUSY_ALIVE_MS = 2_500;
/** The same of a path that carries nothing: it is probed each 10 s, and given up 5 s after a probe without an answer. */
const IDLE_ALIVE_MS = 16_000;

/**
 * Decides how long a link lives whose control channel is silent or gone while the direct carrier still hears the peer. ICE does not
 * follow a node that moves, and a channel by way of a TURN server ends with that server; the hub that a new attempt needs may be
 * away at the same time. Pure; times in milliseconds, monotonic.
 */
export class ChannelLoss {
  #at: number | undefined;

  /** Whether the channel was given up for good, by ICE, by SCTP, or by the peer. */
  get isLost(): boolean {
    return this.#at !== undefined;
  }

  /**
   * The channel was given up.
   * @param heardAt when the direct carrier last heard the peer; -Infinity: never
   * @returns whether the link lives on for now
   */
  begin(now: number, heardAt: number): boolean {
    if (this.#at !== undefined) return true;
    if (now - heardAt > IDLE_ALIVE_MS) return false;
    this.#at = now;
    return true;
  }

  /** Whether the direct carrier alone keeps a link alive. @param flows whether data flowed within the last seconds */
  isCarried(now: number, heardAt: number, flows: boolean): boolean {
    // Who closed the channel on purpose has closed the direct carrier with it, and answers no probe any more.
    if (this.#at !== undefined && heardAt <= this.#at) return now - this.#at <= BUSY_ALIVE_MS;
    return now - heardAt <= (flows ? BUSY_ALIVE_MS : IDLE_ALIVE_MS);
  }
}
