import { type Logger, monotonicMs, PeerError } from '@kith/base';
import type { ApiCall, Hello } from '@kith/protocol';
import type { Callback } from './callback.ts';
import { LibraryThreads } from './channel/library-threads.ts';
import { CHANGED_SUSPECT_AFTER_MS } from './channel/liveness.ts';
import { isRelayedPair } from './channel/peer-session.ts';
import { type CreateLink, carryOn, readDescription, securityOf } from './create-link.ts';
import { firstStunServer } from './first-stun-server.ts';
import { iceServersFor, iceServersOf } from './ice-servers.ts';
import { Link } from './link.ts';
import { LinkLooks } from './link-looks.ts';
import type { LinkTable } from './link-table.ts';
import type { LinkParameters, LocalNode } from './link-types.ts';
import type { Overlay } from './overlay.ts';
import type { PathHistories } from './path-histories.ts';
import type { PeerAddresses } from './peer-addresses.ts';
import { LinkRelay } from './relay/link-relay.ts';
import { type Patience, RelayPatience } from './relay/relay-patience.ts';
import type { StreamRelays } from './relay/stream-relays.ts';
import type { Relay } from './relay.ts';
import { resolveHost } from './resolve-host.ts';
import { Slowdown } from './slowdown.ts';
import type { Uplink } from './uplink.ts';

export interface LinkDeskParts {
  readonly log: Logger;
  readonly portRange: readonly [number, number] | undefined;
  /** This node as it is now. */
  readonly node: () => LocalNode;
  readonly links: LinkTable;
  readonly overlay: Overlay;
  readonly peers: PeerAddresses;
  readonly uplink: Uplink;
  readonly relay: Relay;
  readonly streamRelays: StreamRelays;
  readonly histories: PathHistories;
  readonly callback: Callback;
}

/** Makes links and ends them as the controller says, and tells the others of this process, and the controller, what becomes of them. */
export class LinkDesk {
  readonly #parts: LinkDeskParts;
  readonly #looks: LinkLooks;
  readonly #patience = new RelayPatience();
  readonly #slowdown = new Slowdown();
  readonly counters = { links_opened: 0, links_closed: 0 };

  constructor(parts: LinkDeskParts) {
    this.#parts = parts;
    const threads = new LibraryThreads();
    this.#looks = new LinkLooks({
      every: () => this.every(),
      whenUsed: (handler) => parts.node().direct?.whenUsed(handler),
      setPace: (pace) => threads.setPace(pace),
    });
  }

  /** Begins to look at the clock. */
  start(): void {
    this.#looks.start();
  }

  /** @throws what readDescription and carryOn throw, PeerError REMOTE_UNUSABLE, SystemError LINK_LIMIT. */
  async create(parameters: CreateLink): Promise<void> {
    const { links, node, streamRelays, histories } = this.#parts;
    const { uid, fpr, sec, accounts, translation } = parameters;
    const candidates = readDescription(parameters, node().identity.uid);
    const first = candidates[0];
    const known = links.newest(uid);
    const attempt = parameters.attempt ?? known?.attempt ?? 1;
    const security = securityOf(parameters);
    let link = carryOn(known, attempt, first);
    if (link === undefined) {
      const iceServers = iceServersOf(parameters);
      node().direct?.setServers(iceServers);
      const servers = iceServersFor(iceServers, node().direct?.network());
      const options = {
        relays: streamRelays,
        resolve: resolveHost,
        isExcluded: (ip: string) => node().isExcluded(ip),
      };
      const slowdown = (): number => this.#slowdown.factor(monotonicMs());
      const isMissed = links.get(uid)?.isInUse(monotonicMs()) === true;
      const patience = (): Patience => this.#patience.of(node().direct?.network(), slowdown(), isMissed);
      const relay = LinkRelay.open(servers, options, patience);
      try {
        const stunServer = await firstStunServer(servers);
        const rest = {
          iceServers,
          stunServer,
          relay,
          accounts,
          translation,
          history: histories.of(uid),
          slowdown,
        };
        link = this.#openLink({ uid, attempt, encrypted: sec, security, ...rest });
      } catch (error) {
        relay.close();
        throw error;
      }
    } else {
      link.setTerms({ encrypted: sec, security, accounts, translation });
      // The caller may be a controller that was restarted and knows none of our candidates.
      if (first === undefined) this.#notifyCandidates(link, link.isGathered);
    }
    try {
      link.addRemote(fpr, candidates);
    } catch (cause) {
      link.close('the description of the peer cannot be used');
      throw new PeerError('REMOTE_UNUSABLE', 'the description of the peer cannot be used', {
        field: 'cas',
        cause,
      });
    }
  }

  /** Ends the links to a node, or that of one attempt. */
  trim({ uid, attempt, reason }: Extract<ApiCall, { m: 'trim_link' }>['params']): void {
    for (const link of this.#parts.links.of(uid, attempt)) link.close(reason ?? 'trimmed by the controller');
  }

  /** Addresses or routes of this machine changed. */
  networkChanged(): void {
    const now = monotonicMs();
    for (const link of this.every()) link.networkChanged(now);
    // Not at the next look: who waits for a path feels a quarter of a second.
    this.#looks.lookAtAllAfter(CHANGED_SUSPECT_AFTER_MS + 1);
  }

  /** Ends all links for good. */
  close(reason: string): void {
    this.#looks.close();
    for (const link of this.every()) link.close(reason);
  }

  /** All links, and the attempts beside them. */
  every(): Link[] {
    const { links } = this.#parts;
    return [...links.all(), ...links.successors()];
  }

  #openLink(parameters: LinkParameters): Link {
    const { links, node, portRange, log, callback, relay, overlay } = this.#parts;
    const link = new Link(
      links.freeSlot(parameters.uid),
      node(),
      parameters,
      portRange,
      log,
      {
        candidates: (of, complete) => this.#notifyCandidates(of, complete),
        online: (of, hello) => this.#online(of, hello),
        closed: (of, reason) => this.#closed(of, reason),
        suspect: (of, suspect) => {
          log.info({ peer: of.uid, attempt: of.attempt }, suspect ? 'link silent' : 'link heard again');
          callback.notify({ type: 'link_suspect', uid: of.uid, attempt: of.attempt, suspect });
        },
        relayed: (of, message) => relay.receive(of.uid, message, monotonicMs()),
        restless: () => this.#looks.stir(),
        chunk: (of, data, offset, length) => {
          this.#looks.stir();
          overlay.tap?.deliver(of.slot, data, offset, length);
        },
      },
      monotonicMs(),
    );
    links.add(link);
    this.counters.links_opened++;
    this.#looks.opened();
    return link;
  }

  #online(link: Link, hello: Hello): void {
    const { links, peers, relay, callback, log } = this.#parts;
    // What it carried was kept from its successor until now; from here on frames take the new one.
    for (const old of links.of(link.uid)) {
      if (old === link) continue;
      old.close('replaced by a new attempt');
      peers.release(link.uid);
      relay.forget(link.uid);
    }
    const now = monotonicMs();
    if (!isRelayedPair(link.report(now).pair)) this.#patience.cameUp(link.boundMs(now));
    peers.bind(link, hello);
    callback.notify({ type: 'con_stat', uid: link.uid, data: 'online', attempt: link.attempt });
    log.info({ peer: link.uid, attempt: link.attempt }, 'link online');
  }

  #closed(link: Link, reason: string): void {
    const { links, uplink, overlay, peers, relay, callback, log } = this.#parts;
    links.remove(link);
    uplink.forget(link);
    overlay.tap?.unbindLink(link.slot);
    if (links.get(link.uid)?.state !== 'online') {
      peers.release(link.uid);
      relay.forget(link.uid);
    }
    this.counters.links_closed++;
    callback.notify({
      ...{ type: 'con_stat', uid: link.uid, data: 'offline', attempt: link.attempt, reason },
      ...(link.refusal === undefined ? {} : { code: link.refusal.code }),
    });
    log.info({ peer: link.uid, attempt: link.attempt, reason }, 'link closed');
  }

  #notifyCandidates(link: Link, complete: boolean): void {
    const { node, callback } = this.#parts;
    const data = `${node().identity.fingerprint} ${link.localCandidates()}`.trimEnd();
    const network = node().direct?.network();
    callback.notify({
      ...{ type: 'con_resp', uid: link.uid, data, attempt: link.attempt, complete },
      ...(network === undefined ? {} : { network }),
    });
  }
}
