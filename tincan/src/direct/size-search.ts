import { CHANNEL_DATA_HEADER_BYTES } from '@kith/protocol';

/**
 * Sizes of IP packets worth trying, bytes: Ethernet (1500), with PPPoE (1492), with a 6in4 or GRE header (1480), and what tunnels
 * leave of it (WireGuard 1420 and 1440, IPsec about 1400, VXLAN 1450, others) down to IPv6's minimum. RFC 8899 §5.3.2 leaves the
 * choice open; one try per common size finds the right one within one round trip, where the likely size does not pass.
 */
const COMMON_IP_SIZES = [1300, 1350, 1380, 1400, 1420, 1440, 1450, 1460, 1480, 1492, 1500];

/** BASE_PLPMTU: every IPv6 path carries this (RFC 8200 §5), and nearly every IPv4 path. */
const BASE_IP_SIZE = 1280;

/** MIN_PLPMTU for IPv4: what every host must take (RFC 1122 §3.3.2). IPv6 has none below its base. */
const LEAST_IP4_SIZE = 576;

/** What most paths carry: asked for alone before all else, since ten links that begin together cost ten probes then instead of a hundred. */
const LIKELY_IP_SIZE = 1500;

/** Larger interface MTUs than this are of loopback or of virtual cards between guests of one machine. */
const LARGEST_IP_SIZE = 9000;

const IP4_UDP_HEADER_BYTES = 28;
const IP6_UDP_HEADER_BYTES = 48;

/** RFC 8899 §5.1.2 MAX_PROBES: a size that fails so often does not fit. */
const MAX_TRIES = 3;

/** Between two rounds of the search; the answers of the round before have come, or the path is slow and more rounds do no harm. */
const ROUND_MS = 400;

/** RFC 8899 §5.1.1 has PMTU_RAISE_TIMER at 600 s; a path that became better should not wait that long. */
export const RAISE_AFTER_MS = 60_000;

/** A path that lets nothing through but small probes is asked again after this. */
const UNUSABLE_RETRY_MS = 10_000;

export interface SizeLadder {
  /** UDP payload sizes, ascending, without gaps in meaning: each is tried by itself. */
  readonly sizes: readonly number[];
  /** Position in `sizes` of the size that a path must carry to be used at first. */
  readonly base: number;
  /** Those of `sizes` that are asked for before the others. */
  readonly likely: readonly number[];
}

/**
 * The sizes to try on a path of this family; `interfaceMtus` adds jumbo frames where an interface has them. Where a TURN server is
 * between, its header must fit as well.
 */
export function sizeLadder(family: 4 | 6, interfaceMtus: readonly number[], isRelayed = false): SizeLadder {
  const header =
    (family === 4 ? IP4_UDP_HEADER_BYTES : IP6_UDP_HEADER_BYTES) +
    (isRelayed ? CHANNEL_DATA_HEADER_BYTES : 0);
  const jumbo = interfaceMtus.map((mtu) => Math.min(mtu, LARGEST_IP_SIZE)).filter((mtu) => mtu > 1500);
  const below = family === 4 ? [LEAST_IP4_SIZE] : [];
  const packets = [...new Set([...below, BASE_IP_SIZE, ...COMMON_IP_SIZES, ...jumbo])].sort((a, b) => a - b);
  const likely = [LIKELY_IP_SIZE, ...jumbo];
  return {
    sizes: packets.map((size) => size - header),
    base: below.length,
    likely: likely.map((size) => size - header),
  };
}

/**
 * Finds the largest datagram that a path carries, in the manner of RFC 8899 (DPLPMTUD). Pure; sizes are bytes of UDP payload, times
 * are milliseconds. The caller sends what `wants` names and reports what became of it.
 */
export class SizeSearch {
  readonly #ladder: SizeLadder;
  #confirmed = 0;
  /** Position of the size that is tried first, or again after a black hole. */
  #floor: number;
  #floorTries = 0;
  #floorAt = Number.NEGATIVE_INFINITY;
  #floorOutstanding = false;
  #round = 0;
  #roundAt = Number.NEGATIVE_INFINITY;
  #fullLosses = 0;

  constructor(ladder: SizeLadder) {
    this.#ladder = ladder;
    this.#floor = ladder.base;
  }

  /** The largest size that was answered; 0 while the path is not known to carry even the least. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Sizes to probe now. `active`: the path carries data, so larger sizes are worth their bytes. */
  wants(now: number, active: boolean): number[] {
    if (this.#confirmed === 0) {
      if (this.#floorOutstanding || now < this.#floorAt) return [];
      this.#floorOutstanding = true;
      return this.#ladder.sizes.slice(this.#floor, this.#floor + 1);
    }
    if (!active || now < this.#roundAt) return [];
    const larger = this.#ladder.sizes.filter((size) => size > this.#confirmed);
    const likely = this.#round === 0 ? larger.filter((size) => this.#ladder.likely.includes(size)) : [];
    this.#round++;
    if (larger.length === 0 || this.#round > MAX_TRIES) {
      this.#round = 0;
      this.#roundAt = now + RAISE_AFTER_MS;
    } else {
      this.#roundAt = now + ROUND_MS;
    }
    return likely.length > 0 ? likely : larger;
  }

  /** When `wants` may name something by the clock alone. */
  dueAt(active: boolean): number {
    if (this.#confirmed === 0) return this.#floorOutstanding ? Number.POSITIVE_INFINITY : this.#floorAt;
    return active ? this.#roundAt : Number.POSITIVE_INFINITY;
  }

  /** A probe of this size was answered. True when that changes `confirmed`. */
  answered(size: number): boolean {
    if (size >= this.#confirmed) this.#fullLosses = 0;
    if (size <= this.#confirmed || !this.#ladder.sizes.includes(size)) return false;
    this.#confirmed = size;
    this.#floorOutstanding = false;
    this.#floorTries = 0;
    return true;
  }

  /**
   * A probe of this size had no answer, although smaller ones had. Losses of sizes that were never confirmed say nothing new.
   * True when that changes `confirmed`.
   */
  lost(size: number, now: number): boolean {
    if (this.#confirmed === 0) {
      if (size === this.#ladder.sizes[this.#floor]) this.#floorLost(now);
      return false;
    }
    if (size !== this.#confirmed) return false;
    this.#fullLosses++;
    // Once is chance; twice, while small ones get through, is a black hole.
    if (this.#fullLosses < 2) return false;
    this.#lower(now);
    return true;
  }

  /** A probe of this size had no answer, but neither had any other of its time: that says nothing about sizes. */
  forgotten(size: number): void {
    if (size === this.#ladder.sizes[this.#floor]) this.#floorOutstanding = false;
  }

  /** The kernel refused a datagram of the present size (EMSGSIZE). True when that changes `confirmed`. */
  tooLarge(now: number): boolean {
    if (this.#confirmed === 0) return false;
    this.#lower(now);
    return true;
  }

  /** Forgets what was found, because the path may lead elsewhere now. */
  restart(): void {
    this.#confirmed = 0;
    this.#floor = this.#ladder.base;
    this.#floorTries = 0;
    this.#floorAt = Number.NEGATIVE_INFINITY;
    this.#floorOutstanding = false;
    this.#searchAgain(Number.NEGATIVE_INFINITY);
  }

  #lower(now: number): void {
    const { sizes, base } = this.#ladder;
    const before = sizes.indexOf(this.#confirmed);
    // From above the base to the base, from the base to the least, from the least to nothing.
    const next = before > base ? base : before - 1;
    this.#confirmed = sizes[next] ?? 0;
    if (this.#confirmed === 0) {
      this.#floor = base;
      this.#floorAt = now + UNUSABLE_RETRY_MS;
      this.#floorOutstanding = false;
    }
    this.#searchAgain(now);
  }

  #searchAgain(now: number): void {
    this.#fullLosses = 0;
    this.#round = 0;
    this.#roundAt = now;
  }

  #floorLost(now: number): void {
    this.#floorOutstanding = false;
    this.#floorTries++;
    if (this.#floorTries < MAX_TRIES) return;
    this.#floorTries = 0;
    if (this.#floor > 0) {
      this.#floor--;
    } else {
      this.#floor = this.#ladder.base;
      this.#floorAt = now + UNUSABLE_RETRY_MS;
    }
  }
}
