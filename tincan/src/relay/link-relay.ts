import type { Candidate, IceServer } from '@kith/protocol';
import { serverText } from './stream-connection.ts';
import type { StreamRelay } from './stream-relay.ts';
import type { StreamRelays } from './stream-relays.ts';
import type { Endpoint } from './turn-message.ts';

/** The TURN servers of one link's ICE, and the relay on loopback that may be among them. Ends with `close`. */
export class LinkRelay {
  readonly #relays: StreamRelays;
  #servers: readonly IceServer[] = [];
  #relay: StreamRelay | undefined;
  /** Addresses that the stream's allocation gave, also when it is over. */
  readonly #relayed = new Set<string>();
  #lost: (reason: string) => void = () => undefined;

  private constructor(relays: StreamRelays) {
    this.#relays = relays;
  }

  /** Never rejects: without a stream the link has what ICE reaches by UDP. */
  static async open(relays: StreamRelays, servers: readonly IceServer[]): Promise<LinkRelay> {
    const link = new LinkRelay(relays);
    const choice = await relays.choose(servers, {
      allocated: () => {
        const relayed = link.#relay?.inUse?.relayed;
        if (relayed !== undefined) link.#relayed.add(textOf(relayed));
      },
      lost: (reason) => link.#lost(reason),
    });
    link.#servers = choice.servers;
    link.#relay = choice.relay;
    return link;
  }

  /** What ICE is to be given. */
  get servers(): readonly IceServer[] {
    return this.#servers;
  }

  /** `listener` is told when the stream's allocation is over before the link is. */
  onLost(listener: (reason: string) => void): void {
    this.#lost = listener;
  }

  /**
   * Looks at a candidate that ICE found; false when the peer must not be told. libjuice takes the address that the stream comes from
   * for one of its UDP socket; nothing sent there would arrive.
   */
  admits({ type, ip, port }: Candidate): boolean {
    const inUse = this.#relay?.inUse;
    if (type === 'stun') {
      return inUse?.mapped === undefined || textOf(inUse.mapped) !== textOf({ ip, port });
    }
    if (type === 'relay' && !this.#relayed.has(textOf({ ip, port }))) {
      this.#relays.udpWorks();
      this.#relay?.decline();
    }
    return true;
  }

  /** The server whose stream gave the address, e.g. `tls hub.example.org:5349`; undefined when none did. */
  serverOf(endpoint: string): string | undefined {
    if (!this.#relayed.has(endpoint)) return undefined;
    const server = this.#relay?.inUse?.server;
    return server === undefined ? undefined : serverText(server);
  }

  /** Whether the stream's allocation, which may be over, gave the address. */
  gave(endpoint: string): boolean {
    return this.#relayed.has(endpoint);
  }

  close(): void {
    if (this.#relay !== undefined) this.#relays.release(this.#relay);
    this.#relay = undefined;
  }
}

/** As `endpointText` writes it. */
function textOf({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
