import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { describeError, type Logger } from '@kith/base';
import type { IceServer } from '@kith/protocol';
import type { TurnCredentials } from '../turn/turn-client.ts';
import { firstAnswers } from './first-answers.ts';
import { planIce, type StreamGroup } from './ice-plan.ts';
import { isOwnUdpPort } from './own-socket.ts';
import { RelayMemory } from './relay-memory.ts';
import { type StreamServer, serverText } from './stream-connection.ts';
import { StreamRelay, type StreamRelayCounters, type StreamRelayEvents } from './stream-relay.ts';

/** Relays at a time, each a socket and a port; more links than that go without. */
const MAX_RELAYS = 1_024;

/** RFC 8996: no TLS below 1.2. */
const MIN_TLS = 'TLSv1.2';

/** What a link uses: servers that it asks by UDP, and the way to others by TCP or TLS. */
export interface RelayChoice {
  servers: IceServer[];
  stream: (TurnCredentials & { relay: StreamRelay }) | undefined;
}

export interface StreamRelaysOptions {
  /** PEM of an authority that may vouch for servers besides those that Node.js knows. */
  ca: string | undefined;
  log: Logger;
  clock(): number;
}

function isUdp(transport: IceServer['transport']): boolean {
  return transport === undefined || transport === 'udp';
}

/** Whether there are several servers of one kind. */
function hasChoice(servers: readonly IceServer[]): boolean {
  const kinds = new Map(servers.map(({ type, host, port }) => [`${type} ${host}:${port}`, type]));
  return new Set(kinds.values()).size < kinds.size;
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

  /**
   * The STUN servers of the list and the TURN servers of it that a link is to use. The relay is the link's to close, by `release`.
   * Never rejects: without a relay the servers that are left may do.
   */
  async choose(servers: readonly IceServer[], events: Partial<StreamRelayEvents> = {}): Promise<RelayChoice> {
    const byUdp = servers.filter(({ type, transport }) => type === 'stun' || isUdp(transport));
    // Of several STUN servers the library would take any, also one that is down. All of one kind at one address are one.
    const ordered = hasChoice(byUdp) ? await firstAnswers(byUdp) : byUdp;
    const stun = ordered.filter(({ type }) => type === 'stun');
    const others = servers.filter((server) => !byUdp.includes(server));
    const { udp, stream } = planIce([...ordered, ...others], (server) => this.#memory.rank(server));
    const without = { servers: [...stun, ...udp], stream: undefined };
    if (stream === undefined) return without;
    const relay = await this.open(stream, udp.length > 0, events);
    if (relay === undefined) return without;
    const { username, password } = stream;
    return { servers: without.servers, stream: { relay, username, password } };
  }

  /** The servers of the list that are reached by streams and take the same credentials, the most promising first. */
  streamsOf(servers: readonly IceServer[]): StreamGroup | undefined {
    return planIce(servers, (server) => this.#memory.rank(server)).stream;
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

  /** Ends a relay that `choose` gave. */
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
