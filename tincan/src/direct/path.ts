import type { Address } from './direct-port.ts';
import type { SizeSearch } from './size-search.ts';

/** Where an authentic datagram came from. */
export interface Source extends Address {
  /** The peer sent it by way of its TURN server; left out: nothing is known of that. */
  isPeersRelay?: boolean;
}

/** How we came to know an address: the peer's interface, the peer as a STUN server sees it, the peer's TURN server, or seen by ourselves. */
export type PathKind = 'host' | 'mapped' | 'relay' | 'reflexive';

/**
 * Offsets of the first probes of a path, ms. The first opens our NAT for the peer's; the next come when both ends' first ones have
 * crossed on a LAN (50), on a continent (150), and around the world (400, 1000).
 */
const BURST_MS = [0, 50, 150, 400, 1_000];

/** Fewest and most ms before a probe counts as unanswered; in between, three round trips. */
const LEAST_GRACE_MS = 200;
const MOST_GRACE_MS = 1_000;

/**
 * What an address that is not on an interface of the peer costs, in ms of round trip: such a path leads through a NAT, whose mapping
 * may end, even where it is as short as the other.
 */
const MAPPED_COST_MS = 10;

/**
 * What a TURN server of our own costs besides: the peer's own relayed address is preferred while its round trip is similar. ejabberd
 * takes in the ChannelData of all its clients in one process, and what comes to a relayed address in one of the allocation's own:
 * 78 Mbit/s with losses against 1000 were measured.
 */
const VIA_FACTOR = 1.25;
const VIA_COST_MS = 25;

/** Round trips of which the least counts: a queue that our own data fills must not make a path look bad. */
const RTT_SAMPLES = 8;

/** RFC 6298 §2.3: gain of the smoothed round trip. */
const RTT_GAIN = 1 / 8;

/** Times of unproved probes that are kept per path; four per second for the two seconds until a path is dead. */
const MAX_UNPROVED = 16;

/** One address of the peer and what probing showed about it. Pure data with the arithmetic on it; times in ms. */
export class Path {
  readonly address: Address;
  readonly key: string;
  readonly size: SizeSearch;
  kind: PathKind;
  /** A TURN server of ours or of the peer's is between. */
  isRelayed: boolean;
  /** Smoothed round trip. */
  srtt: number | undefined;
  /** Consecutive answers of small probes; a lost one ends the row. */
  answers = 0;
  lastAnswerAt = Number.NEGATIVE_INFINITY;
  /** The path worked for a probe that was sent at this time. */
  provedAt = Number.NEGATIVE_INFINITY;
  /** Any authentic datagram came from there. */
  heardAt = Number.NEGATIVE_INFINITY;
  /** How often in a row it answered and was better than the active path. */
  betterAnswers = 0;
  nextProbeAt: number;
  /** Send times of probes whose answer would prove that the path works, oldest first. */
  #unproved: number[] = [];
  #burst = 0;
  #burstAt: number;
  #rtts: number[] = [];

  constructor(
    address: Address,
    key: string,
    kind: PathKind,
    isRelayed: boolean,
    size: SizeSearch,
    now: number,
  ) {
    this.address = address;
    this.key = key;
    this.kind = kind;
    this.isRelayed = isRelayed;
    this.size = size;
    this.nextProbeAt = now;
    this.#burstAt = now;
  }

  /** The peer says what the address is. What was a TURN server's once stays one. */
  learn(kind: PathKind): void {
    this.kind = kind;
    this.isRelayed ||= kind === 'relay';
  }

  /** Begins the dense probes anew. */
  startBurst(now: number): void {
    this.#burst = 0;
    this.#burstAt = now;
    this.nextProbeAt = now;
  }

  /** What there is to know is known: the next probe is that of the slow schedule. */
  endBurst(repeatAt: number): void {
    if (this.#burst >= BURST_MS.length) return;
    this.#burst = BURST_MS.length;
    this.nextProbeAt = repeatAt;
  }

  /** Milliseconds since the last burst began. */
  burstAge(now: number): number {
    return now - this.#burstAt;
  }

  /** Whether the last burst began less than a second ago. */
  isBursting(now: number): boolean {
    return this.burstAge(now) < 1_000;
  }

  /** A probe of the schedule was sent: sets the time of the next, which is `repeatAt` when the dense ones are over. */
  scheduled(now: number, repeatAt: number): void {
    // A schedule that was overtaken (a stalled process) does not send what it missed.
    do this.#burst++;
    while (this.#burst < BURST_MS.length && this.#burstAt + (BURST_MS[this.#burst] ?? 0) <= now);
    const offset = BURST_MS[this.#burst];
    this.nextProbeAt = offset === undefined ? repeatAt : this.#burstAt + offset;
  }

  sent(now: number): void {
    if (this.#unproved.length < MAX_UNPROVED) this.#unproved.push(now);
  }

  /** An answer came now to a probe sent at `sentAt`. */
  proved(sentAt: number, now: number): void {
    const rtt = now - sentAt;
    this.srtt = this.srtt === undefined ? rtt : this.srtt + (rtt - this.srtt) * RTT_GAIN;
    this.#rtts.push(rtt);
    if (this.#rtts.length > RTT_SAMPLES) this.#rtts.shift();
    this.lastAnswerAt = now;
    this.heardAt = now;
    if (sentAt <= this.provedAt) return;
    this.provedAt = sentAt;
    this.#unproved = this.#unproved.filter((time) => time > sentAt);
  }

  /** When the oldest probe was sent that nothing has proved since; undefined when all are proved. */
  get unprovedSince(): number | undefined {
    return this.#unproved[0];
  }

  get unprovedCount(): number {
    return this.#unproved.length;
  }

  forgetUnproved(): void {
    this.#unproved = [];
  }

  /** How long an answer may take. */
  get graceMs(): number {
    if (this.srtt === undefined) return MOST_GRACE_MS;
    return Math.min(Math.max(3 * this.srtt, LEAST_GRACE_MS), MOST_GRACE_MS);
  }

  /** What speaks against the path, ms: less is better. */
  get cost(): number {
    const rtt = Math.min(...this.#rtts);
    if (this.address.via !== undefined) return rtt * VIA_FACTOR + VIA_COST_MS;
    return rtt + (this.kind === 'host' ? 0 : MAPPED_COST_MS);
  }

  /** Forgets round trips and sizes, because the way there may be another one now. */
  restart(now: number): void {
    this.#rtts = [];
    this.srtt = undefined;
    this.answers = 0;
    this.betterAnswers = 0;
    this.size.restart();
    this.forgetUnproved();
    this.startBurst(now);
  }
}
