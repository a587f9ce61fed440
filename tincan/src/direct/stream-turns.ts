import type { IceServer } from '@kith/protocol';
import { type Endpoint, endpointText } from '../endpoint.ts';
import { serverText } from '../relay/stream-connection.ts';
import type { StreamRelay } from '../relay/stream-relay.ts';
import type { StreamRelays } from '../relay/stream-relays.ts';
import type { TurnServer } from './relays.ts';

/** Groups of servers at a time. One hub names one; another is there while links of two answers of the hub live. */
const MAX_GROUPS = 2;

export interface StreamTurnsEvents {
  /** The stream of our allocation broke. */
  lost(server: Endpoint): void;
}

interface Group {
  names: string;
  links: Set<number>;
  relay: Promise<StreamRelay | undefined>;
  /** The same when it is there. */
  opened: StreamRelay | undefined;
  /** Why no server answered the last time. */
  why: string | undefined;
}

/**
 * The TURN servers of a node that are reached by TCP or TLS, as the direct carrier sees them: a socket on loopback for each group of
 * them, shared by all links, that looks like a TURN server by UDP. The workers send to it and hear from it as they do with any other.
 */
export class StreamTurns {
  readonly #relays: StreamRelays;
  readonly #events: StreamTurnsEvents;
  readonly #groups = new Map<string, Group>();

  constructor(relays: StreamRelays, events: StreamTurnsEvents) {
    this.#relays = relays;
    this.#events = events;
  }

  /** How long servers by UDP are given before one of these is asked, ms. */
  graceMs(): number {
    return this.#relays.graceMs();
  }

  /** A server gave us an address by UDP. */
  udpWorks(): void {
    this.#relays.udpWorks();
  }

  /** Tells the server that stands for those of a link's list, if there are any, unless the link has left meanwhile. */
  use(link: number, servers: readonly IceServer[], found: (server: TurnServer) => void): void {
    const plan = this.#relays.plan(servers).stream;
    if (plan === undefined) return;
    const names = plan.servers.map(serverText);
    const key = [...names].sort().join(' ');
    const known = this.#groups.get(key);
    if (known === undefined && this.#groups.size >= MAX_GROUPS) return;
    const group: Group = known ?? {
      names: names.join(', '),
      links: new Set(),
      opened: undefined,
      why: undefined,
      relay: this.#relays.open(plan, false, {
        allocated: () => {
          group.why = undefined;
        },
        unreachable: (reason) => {
          group.why = reason;
        },
        lost: () => {
          if (group.opened !== undefined) this.#events.lost(endpointOf(group.opened));
        },
      }),
    };
    group.links.add(link);
    this.#groups.set(key, group);
    const { username, password } = plan;
    void group.relay.then((relay) => {
      group.opened = relay;
      // The last link may have left before the socket was there.
      if (relay === undefined || this.#groups.get(key) !== group || !group.links.has(link)) return;
      found({ ...endpointOf(relay), username, password, isStream: true });
    });
  }

  /** What people call the server at an endpoint; undefined for one that is none of these. */
  nameOf(endpoint: Endpoint): string | undefined {
    const group = this.#at(endpoint);
    const server = group?.opened?.inUse;
    return server === undefined ? group?.names : serverText(server);
  }

  /** Why none of the servers behind an endpoint could be reached; undefined where one was. */
  whyNot(endpoint: Endpoint): string | undefined {
    return this.#at(endpoint)?.why;
  }

  removeLink(link: number): void {
    for (const [key, group] of this.#groups) {
      group.links.delete(link);
      if (group.links.size > 0) continue;
      this.#groups.delete(key);
      this.#release(group);
    }
  }

  close(): void {
    for (const group of this.#groups.values()) this.#release(group);
    this.#groups.clear();
  }

  #release({ relay }: Group): void {
    void relay.then((opened) => {
      if (opened !== undefined) this.#relays.release(opened);
    });
  }

  #at(endpoint: Endpoint): Group | undefined {
    const text = endpointText(endpoint);
    for (const group of this.#groups.values()) {
      if (group.opened !== undefined && endpointText(endpointOf(group.opened)) === text) return group;
    }
    return undefined;
  }
}

function endpointOf({ endpoint: { host, port } }: StreamRelay): Endpoint {
  return { ip: host, port };
}
