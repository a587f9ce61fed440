import { describeError, type Logger, SystemError } from '@kith/base';
import { interfaceIndex, routeInterface } from '@kith/posix';
import { ipBytes } from './address-bytes.ts';

/** Addresses whose answer is kept: each link probes a handful. Past it all are asked again. */
const MAX_KNOWN = 1_024;

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
  /** Answers of before, until forget(). */
  readonly #known = new Map<string, boolean>();
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

  /** Routes or interfaces may have changed. */
  forget(): void {
    this.#known.clear();
  }

  /** Whether a packet to `ip`, which must be an address, would go to the card now. Counted; never throws. */
  lead(ip: string): boolean {
    let leads = this.#known.get(ip);
    if (leads === undefined) {
      leads = this.#ask(ip);
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(ip, leads);
    }
    if (leads) this.counters.addresses_routed_inside++;
    return leads;
  }

  #ask(ip: string): boolean {
    try {
      const by = this.#facts.routeTo(ip);
      return by !== null && by === this.#facts.indexOf(this.#card);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // No card, no way into it. A machine that tells nobody its routes is rare, and links matter more there than this care.
      if (!this.#hasWarned) this.#log.warn(`routes cannot be looked at: ${describeError(error)}`);
      this.#hasWarned = true;
      return false;
    }
  }
}

const machine: RouteFacts = {
  routeTo: (ip) => routeInterface(ipBytes(ip)),
  indexOf: interfaceIndex,
};
