import { describeError, type Logger, SystemError } from '@kith/base';
import { interfaceIndex, routeInterface } from '@kith/posix';
import { ipBytes } from './address-bytes.ts';

/** What of the machine says where a packet goes. */
export interface RouteFacts {
  /** Number of the interface by which a packet to `ip` would leave; null: by none. May throw SystemError. */
  routeTo(ip: string): number | null;
  /** Number of an interface. Throws SystemError where there is none of that name. */
  indexOf(name: string): number;
}

/**
 * Tells addresses to which this machine's own routes lead through the network's card: a person, a routing daemon or another program
 * may have set them. A link over such an address would carry itself, each packet round and round.
 */
export class InsideRoutes {
  readonly #card: string;
  readonly #log: Logger;
  readonly #facts: RouteFacts;
  #hasWarned = false;
  readonly counters = { addresses_routed_inside: 0 };

  constructor(card: string, log: Logger, facts: RouteFacts = machine) {
    this.#card = card;
    this.#log = log;
    this.#facts = facts;
  }

  /** Whether a packet to `ip`, which must be an address, would go to the card now. Counted; never throws. */
  lead(ip: string): boolean {
    try {
      const by = this.#facts.routeTo(ip);
      if (by === null || by !== this.#facts.indexOf(this.#card)) return false;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // No card, no way into it. A machine that tells nobody its routes is rare, and links matter more there than this care.
      if (!this.#hasWarned) this.#log.warn(`routes cannot be looked at: ${describeError(error)}`);
      this.#hasWarned = true;
      return false;
    }
    this.counters.addresses_routed_inside++;
    return true;
  }
}

const machine: RouteFacts = {
  routeTo: (ip) => routeInterface(ipBytes(ip)),
  indexOf: interfaceIndex,
};
