import { createHash } from 'node:crypto';
import type { Ip4 } from '@kith/config';
import type { Uid } from '@kith/protocol';

/**
 * Places that a node tries by hash before it goes on from the last of them one by one. Hashes keep two nodes that lost one address
 * from following each other from neighbour to neighbour; going on one by one finds any address that is left.
 */
const HASHED_TRIES = 8;

/** The hosts of an IPv4 network: all its addresses but the first and the last. Pure. */
export class Subnet {
  readonly prefixLength: number;
  /** How many hosts there can be. */
  readonly hosts: number;
  readonly #base: number;

  constructor({ address, prefix_length }: Ip4) {
    this.prefixLength = prefix_length;
    this.hosts = 2 ** (32 - prefix_length) - 2;
    this.#base = numberOf(address);
  }

  has(ip4: string): boolean {
    const place = numberOf(ip4) - this.#base;
    return place >= 1 && place <= this.hosts;
  }

  /**
   * The first address that is free, in an order that follows from the UID and the network alone: the same node chooses the same
   * address on every machine of the world, and two nodes seldom want the same. Undefined when none is free.
   */
  choose(uid: Uid, isFree: (ip4: string) => boolean): string | undefined {
    for (let nth = 0; nth < HASHED_TRIES; nth++) {
      const ip4 = this.#host(this.#hashed(uid, nth));
      if (isFree(ip4)) return ip4;
    }
    const last = this.#hashed(uid, HASHED_TRIES - 1);
    for (let step = 1; step < this.hosts; step++) {
      const ip4 = this.#host((last + step) % this.hosts);
      if (isFree(ip4)) return ip4;
    }
    return undefined;
  }

  #hashed(uid: Uid, nth: number): number {
    const digest = createHash('sha256')
      .update(`kith ip4 1\0${this.#base}/${this.prefixLength}\0${uid}\0${nth}`)
      .digest();
    // 48 bits: the widest network has 2^24 hosts, so no host is preferred by more than 2^-24.
    return digest.readUIntBE(0, 6) % this.hosts;
  }

  #host(place: number): string {
    const number = this.#base + 1 + place;
    return [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff].join('.');
  }
}

/** An IPv4 address in dotted form as a number; NaN for anything else. */
function numberOf(ip4: string): number {
  const parts = ip4.split('.');
  return parts.length === 4 ? parts.reduce((sum, part) => sum * 256 + Number(part), 0) : Number.NaN;
}
