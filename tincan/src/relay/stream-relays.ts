import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { describeError, type Logger } from '@kith/base';
import type { IceServer } from '@kith/protocol';
import { type IcePlan, planIce, type StreamGroup } from './ice-plan.ts';
import { isOwnUdpPort } from './own-socket.ts';
import { RelayMemory } from './relay-memory.ts';
import { type StreamServer, serverText } from './stream-connection.ts';
import { StreamRelay, type StreamRelayCounters, type StreamRelayEvents } from './stream-relay.ts';

/** Relays at a time, each a socket and a port; more links than that go without. */
const MAX_RELAYS = 1_024;

/** RFC 8996: no TLS below 1.2. */
const MIN_TLS = 'TLSv1.2';

export interface StreamRelaysOptions {
  /** PEM of an authority that may vouch for servers besides those that Node.js knows. */
  ca: string | undefined;
  log: Logger;
  clock(): number;
}

/** The TURN servers of this process that are reached by TCP or TLS: what is known of them, and the relays that lead to them. */
export class StreamRelays {
  readonly #options: StreamRelaysOptions;
  readonly #memory = new RelayMemory();
  #trusted: SecureContext | undefined;
  #open = 0;
  readonly counters: StreamRelayCounters & { turn_relays_refused: number } = {
    turn_streams_opened: 0,
    turn_streams_failed: 0,
    turn_streams_lost: 0,
    turn_relays_refused: 0,
    dropped_turn_congested: 0,
    dropped_turn_malformed: 0,
    dropped_turn_stranger: 0,
    dropped_turn_unconnected: 0,
  };

  constructor(options: StreamRelaysOptions) {
    this.#options = options;
  }

  /** Which TURN servers of the list a link uses, the most promising first. */
  plan(servers: readonly IceServer[]): IcePlan {
    return planIce(servers, (server) => this.#memory.rank(server));
  }

  /**
   * A relay to the servers of a group; undefined where there is no room for another. It ends with `release`. Never rejects.
   * @param waits for the time in which a server may answer by UDP
   */
  async open(
    { servers }: StreamGroup,
    waits: boolean,
    events: Partial<StreamRelayEvents>,
  ): Promise<StreamRelay | undefined> {
    if (this.#open >= MAX_RELAYS) {
      this.counters.turn_relays_refused++;
      return undefined;
    }
    this.#open++;
    try {
      return await this.#relay(servers, waits, events);
    } catch (error) {
      this.#open--;
      this.#options.log.warn(describeError(error));
      return undefined;
    }
  }

  /** Ends a relay that `open` gave. */
  release(relay: StreamRelay): void {
    this.#open--;
    relay.close();
  }

  /** How long servers by UDP are given before one by a stream is asked, ms. */
  graceMs(): number {
    return this.#memory.graceMs(this.#options.clock());
  }

  /** A client got a relay that it reaches by UDP. */
  udpWorks(): void {
    this.#memory.udpWorked(this.#options.clock());
  }

  #relay(
    servers: readonly StreamServer[],
    waits: boolean,
    events: Partial<StreamRelayEvents>,
  ): Promise<StreamRelay> {
    const { log, clock } = this.#options;
    return StreamRelay.open(
      {
        servers,
        graceMs: () => (waits ? this.graceMs() : 0),
        trusted: () => this.#context(),
        isOurs: isOwnUdpPort,
        clock,
        counters: this.counters,
      },
      {
        allocated: (server) => {
          this.#memory.streamWorked(serverText(server), clock());
          log.info({ server: serverText(server) }, 'relay: UDP does not get through, a stream does');
          events.allocated?.(server);
        },
        unreachable: (reason) => {
          log.warn(`no relay by TCP or TLS: ${reason}`);
          events.unreachable?.(reason);
        },
        lost: (reason) => {
          log.warn(`the connection to a relay broke: ${reason}`);
          events.lost?.(reason);
        },
      },
    );
  }

  #context(): SecureContext {
    const { ca } = this.#options;
    this.#trusted ??= createSecureContext({
      minVersion: MIN_TLS,
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    });
    return this.#trusted;
  }
}
