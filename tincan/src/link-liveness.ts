import { ChannelLoss } from './channel/channel-loss.ts';
import { Liveness } from './channel/liveness.ts';
import { TrafficClock } from './traffic-clock.ts';

/** A path without data for this long is probed in its slower time (IDLE_AFTER_MS of path-watch.ts). */
const FLOWS_MS = 5_000;

/** A link without data for this long is watched less closely. */
const IDLE_AFTER_MS = 20_000;

/**
 * Whether an online link's peer is there, by all that hears it: the control channel, whose pings are decided here, and the direct carrier,
 * which probes by itself. Pure; times in milliseconds, monotonic. `heardDirectly` is when the direct carrier last heard the peer;
 * -Infinity: never.
 */
export class LinkLiveness {
  readonly #channel: Liveness;
  readonly #loss = new ChannelLoss();
  readonly #traffic = new TrafficClock();
  #isSuspect = false;

  constructor(now: number) {
    this.#channel = new Liveness(now);
  }

  /** The link may end soon, and another is better made in time. */
  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /** Nothing flows, and nothing speaks against the link: a look each second is enough. */
  get isCalm(): boolean {
    return this.#channel.isIdle && !this.#isSuspect;
  }

  /** When the control channel last heard the peer, or the link began. */
  get channelHeardAt(): number {
    return this.#channel.heardAt;
  }

  /** Round trip of the control channel; null: not measured. */
  get rtt(): number | null {
    return this.#channel.rtt;
  }

  /** @param used grows with what the link carries, in either direction; frames to everybody left out */
  noteTraffic(used: number, now: number): void {
    this.#traffic.note(used, now);
  }

  /** Since the last frame; null: there was none. */
  idleMs(now: number): number | null {
    return this.#traffic.idleMs(now);
  }

  /** Whether somebody would miss the link. */
  isInUse(now: number): boolean {
    return this.#quietMs(now) <= IDLE_AFTER_MS;
  }

  /** Something came over the control channel's session. */
  heard(now: number): void {
    this.#channel.heard(now);
  }

  pong(id: number, now: number): void {
    this.#channel.pong(id, now);
  }

  /** Addresses or routes of this machine changed. */
  networkChanged(now: number): void {
    this.#channel.networkChanged(now);
  }

  /** The channel was given up for good. Returns whether the link lives on for now. */
  channelLost(now: number, heardDirectly: number): boolean {
    return this.#loss.begin(now, heardDirectly);
  }

  /** Whether the direct carrier alone keeps the link alive. */
  isCarried(now: number, heardDirectly: number): boolean {
    return this.#loss.isCarried(now, heardDirectly, this.#quietMs(now) < FLOWS_MS);
  }

  /** To be called as Link.tick is. False: the peer is not there any more. */
  look(now: number, heardDirectly: number, dueAt = now): boolean {
    this.#channel.setIdle(!this.isInUse(now), now, heardDirectly, dueAt);
    const isOver = this.#loss.isLost || this.#channel.isDead(now);
    if (isOver && !this.isCarried(now, heardDirectly)) return false;
    this.#isSuspect = this.#loss.isLost || this.#channel.isSuspect(now, heardDirectly);
    return true;
  }

  /** Id of the ping to send now, or undefined when none is due. */
  pingDue(now: number): number | undefined {
    return this.#channel.pingDue(now);
  }

  /** Milliseconds since the peer was last heard, by whichever way. */
  silence(now: number, heardDirectly: number): number {
    return Math.max(0, Math.min(this.#channel.silence(now), now - heardDirectly));
  }

  /** A link that has not carried anything yet is a quiet one: fifty that come up at once would otherwise be watched closely for nothing. */
  #quietMs(now: number): number {
    return this.#traffic.idleMs(now) ?? Number.POSITIVE_INFINITY;
  }
}
