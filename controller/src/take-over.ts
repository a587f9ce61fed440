import { type Logger, monotonicMs } from '@kith/base';
import type { PeerState, Uid } from '@kith/protocol';
import type { AddressDesk } from './address-desk.ts';
import type { LinkRunner } from './link-runner.ts';
import type { LinkWatch } from './link-watch.ts';
import type { Peer, PeerTable } from './peer-table.ts';

export interface TakeOverParts {
  readonly peers: PeerTable;
  readonly runner: LinkRunner;
  readonly watch: LinkWatch;
  readonly addresses: AddressDesk;
  readonly log: Logger;
  /** Whether the addresses in tincan's state are the nodes' own: not in a social network, where they are mapped ones. */
  readonly addressesAreTheirs: boolean;
  /** The member that a node belongs to, if it may be linked as far as is known by now. */
  readonly admitted: (uid: Uid) => string | undefined;
  /** The peer of a node, made if it is not there; undefined at the limit. */
  readonly peer: (uid: Uid, member: string) => Peer | undefined;
}

/** Brings the machines and the links of a tincan that was just reached to one state. */
export function takeOver(links: readonly PeerState[], parts: TakeOverParts): void {
  const { peers, runner, watch, addresses, log } = parts;
  const now = monotonicMs();
  const running = new Set(links.map((link) => link.uid));
  for (const [uid, peer] of peers) {
    if (running.has(uid)) continue;
    peer.machine.tincanRestarted(now);
    if (peer.present) runner.perform(peer, peer.machine.present(now, watch.hasSpareRoom()));
  }
  for (const { uid, attempt, status, ip4 } of links) {
    if (peers.get(uid)?.machine.knows(attempt)) continue;
    const member = parts.admitted(uid);
    const peer = member === undefined ? undefined : parts.peer(uid, member);
    if (peer === undefined) {
      runner.trim(uid, 'its member is not known to the controller');
      continue;
    }
    log.info({ peer: uid, member: peer.member, attempt }, 'taking over a running link');
    runner.perform(peer, peer.machine.adopt(attempt, status === 'online', now));
    if (ip4 === undefined || !parts.addressesAreTheirs) continue;
    // Until its presence says it better. Who holds the address does not give it up by that.
    const isHeld = addresses.addressing?.heldSince(uid, ip4) !== undefined;
    addresses.heard(uid, peer.member, { ip4, kind: isHeld ? 'static' : 'auto' });
  }
}
