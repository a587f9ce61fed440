import { MAX_CHANNEL, MIN_CHANNEL } from '@kith/protocol';
import { type Endpoint, endpointText } from '../endpoint.ts';

/** RFC 8656 §12: a channel lives for 600 s, the permission that comes with it for 300 s (§9); both are renewed a minute before. */
const RENEW_MS = 240_000;

/** RFC 8656 §12: for 300 s after a channel's end neither its number nor its peer may be bound otherwise. */
const FORGET_MS = 900_000;

/** A peer that the server refused is not asked for again before this. */
const REFUSED_MS = 600_000;

/** The slowest schedule probes a path every 24 s: a channel that was not used for longer is not renewed. */
const UNUSED_MS = 60_000;

/** Peers of one allocation, each with its address behind each NAT; more keep their data channel. */
const MAX_CHANNELS = 1024;

export interface Channel {
  readonly number: number;
  readonly peer: Endpoint;
  /** The server has confirmed it. */
  isBound: boolean;
  isAsked: boolean;
  usedAt: number;
  /** When it has to be asked for. */
  at: number;
}

/** The channels of one allocation, by number and by peer; bounded. Pure; times in ms. */
export class TurnChannels {
  readonly #byPeer = new Map<string, Channel>();
  readonly #byNumber = new Map<number, Channel>();
  #next = MIN_CHANNEL;
  /** Peers that found no room. */
  refused = 0;

  /** The channel of a peer, made when there is none; undefined when there is no room. To be called whenever it is used. */
  use(peer: Endpoint, now: number): Channel | undefined {
    const known = this.#byPeer.get(endpointText(peer));
    if (known !== undefined) {
      known.usedAt = now;
      return known;
    }
    const number = this.#byPeer.size < MAX_CHANNELS ? this.#freeNumber() : undefined;
    if (number === undefined) {
      this.refused++;
      return undefined;
    }
    const { ip, port } = peer;
    const channel = { number, peer: { ip, port }, isBound: false, isAsked: false, usedAt: now, at: now };
    this.#byPeer.set(endpointText(peer), channel);
    this.#byNumber.set(number, channel);
    return channel;
  }

  of(peer: Endpoint): Channel | undefined {
    return this.#byPeer.get(endpointText(peer));
  }

  numbered(number: number): Channel | undefined {
    return this.#byNumber.get(number);
  }

  bound(channel: Channel, now: number): void {
    channel.isBound = true;
    channel.isAsked = false;
    channel.at = now + RENEW_MS;
  }

  /** The server will not have this peer. */
  refuse(channel: Channel, now: number): void {
    channel.isBound = false;
    channel.isAsked = false;
    channel.at = now + REFUSED_MS;
  }

  /** Channels that have to be asked for now; forgets those that nobody uses and the server has forgotten. */
  due(now: number): Channel[] {
    const asked: Channel[] = [];
    for (const [key, channel] of this.#byPeer) {
      if (channel.isAsked || now < channel.at) continue;
      if (now - channel.usedAt < UNUSED_MS) {
        asked.push(channel);
      } else if (now >= channel.at + FORGET_MS) {
        this.#byPeer.delete(key);
        this.#byNumber.delete(channel.number);
      }
    }
    return asked;
  }

  /** When `due` names the next. */
  dueAt(now: number): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { isAsked, usedAt, at } of this.#byPeer.values()) {
      if (!isAsked && now - usedAt < UNUSED_MS) due = Math.min(due, at);
    }
    return due;
  }

  clear(): void {
    this.#byPeer.clear();
    this.#byNumber.clear();
    this.#next = MIN_CHANNEL;
  }

  #freeNumber(): number | undefined {
    for (let tries = MIN_CHANNEL; tries <= MAX_CHANNEL; tries++) {
      const number = this.#next;
      this.#next = number === MAX_CHANNEL ? MIN_CHANNEL : number + 1;
      if (!this.#byNumber.has(number)) return number;
    }
    return undefined;
  }
}
