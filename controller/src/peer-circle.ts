import { type Logger, monotonicMs, Timers } from '@kith/base';
import {
  ACCOUNT_MISMATCH,
  bareJid,
  type ConResp,
  type ConStat,
  type LinkSuspect,
  type LocalState,
  type Uid,
  uidOfFullJid,
} from '@kith/protocol';
import type { AddressDesk } from './address-desk.ts';
import type { Admission } from './admission.ts';
import type { LinkRunner } from './link-runner.ts';
import type { LinkStories } from './link-stories.ts';
import { type LinkTurns, newcomersTime } from './link-turns.ts';
import type { LinkWatch } from './link-watch.ts';
import type { Membership } from './membership.ts';
import type { PeerAction } from './peer-state.ts';
import type { Peer, PeerTable } from './peer-table.ts';
import type { StartGate } from './start-gate.ts';
import type { Trust } from './trust.ts';
import type { IncomingSignal, PresenceChange, XmppSession } from './xmpp/index.ts';

/** Shortest pause between two looks at the machines' clocks. */
const MIN_TICK_MS = 20;

/** How often nodes that wait for their turn of a first contact are looked at again. */
const TRUST_REVIEW_MS = 5_000;

export interface PeerCircleParts {
  readonly log: Logger;
  readonly membership: Membership;
  readonly trust: Trust;
  readonly admission: Admission;
  readonly peers: PeerTable;
  readonly runner: Pick<LinkRunner, 'perform' | 'network'>;
  readonly stories: LinkStories;
  readonly turns: LinkTurns;
  readonly watch: Pick<LinkWatch, 'admits' | 'hasSpareRoom'>;
  readonly addresses: Pick<AddressDesk, 'addressing' | 'forget' | 'heard' | 'refused' | 'sync'>;
  readonly gate: StartGate;
  readonly session: () => Pick<XmppSession, 'check' | 'networkChanged' | 'state'> | undefined;
  readonly local: () => Pick<LocalState, '_uid'> | undefined;
  /** Whether tincan is set up. */
  readonly ready: () => boolean;
}

/** The nodes around this one: brings to the machine of each what the hub, the node itself, tincan and the clock say. */
export class PeerCircle {
  readonly #parts: PeerCircleParts;
  readonly #timers = new Timers();
  readonly counters = { revoked: 0, links_of_other_account: 0, attempts_put_off: 0 };

  constructor(parts: PeerCircleParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#timers.clearAll();
  }

  /** Ends every link whose member does not belong to the network any more. */
  revokeStrangers(): void {
    this.#parts.trust.waiting.retain((jid) => this.#parts.membership.isMember(jid));
    for (const [uid, peer] of this.#parts.peers) {
      if (this.#parts.membership.isMember(peer.member)) continue;
      this.counters.revoked++;
      this.#parts.log.info({ peer: uid, member: peer.member }, 'no member any more');
      this.perform(peer, peer.machine.revoke('not a member of the network any more'));
      this.forget(uid);
    }
    this.schedule();
  }

  presence({ from, available, node }: PresenceChange): void {
    const uid = uidOfFullJid(from);
    if (uid === undefined || uid === this.#parts.local()?._uid) return;
    const member = bareJid(from);
    if (!available) {
      this.#absent(uid, member);
      return;
    }
    const admitted = this.#parts.admission.admits(from, uid, monotonicMs());
    if (this.#parts.trust.unsettled) this.#reviewTrustSoon();
    if (!admitted) {
      this.#parts.trust.waiting.says(member, uid, node);
      return;
    }
    const peer = this.peer(uid, member);
    if (peer === undefined) return;
    if (!peer.present) this.#parts.stories.add(uid, 'its controller is signed in at the hub');
    peer.present = available;
    peer.jid = from;
    if (node === undefined) this.#parts.addresses.sync();
    else this.#parts.addresses.heard(uid, member, node);
    this.#parts.gate.whenOpen(() => this.#link(uid));
  }

  /** A node is there: links it when its turn comes, if that is wanted and there is room. */
  #link(uid: Uid): void {
    const peer = this.#parts.peers.get(uid);
    if (peer !== undefined && isUnlinked(peer)) {
      const { online, present } = this.#parts.peers.census;
      this.#parts.turns.wait(uid, monotonicMs() + newcomersTime(online, present, Math.random()));
    } else this.#tellPresent(uid);
    this.schedule();
  }

  #tellPresent(uid: Uid): void {
    const peer = this.#parts.peers.get(uid);
    if (peer?.present !== true || !this.#parts.ready()) return;
    this.perform(peer, peer.machine.present(monotonicMs(), this.#parts.watch.hasSpareRoom()));
  }

  #absent(uid: Uid, member: string): void {
    const unproved = this.#parts.trust.absent(member, uid);
    const peer = this.#parts.peers.get(uid);
    if (peer?.member !== member) return;
    this.leave(peer);
    // Nobody has shown that there is such a node; what the hub only named is not kept.
    if (unproved && peer.machine.state.is === 'idle') this.forget(uid);
    this.schedule();
  }

  leave(peer: Peer): void {
    if (peer.present) {
      peer.absentSince = monotonicMs();
      this.#parts.stories.add(peer.machine.uid, 'its controller is signed in at the hub no more');
    }
    peer.present = false;
    this.perform(peer, peer.machine.absent());
  }

  forget(uid: Uid): void {
    this.#parts.turns.leave(uid);
    this.#parts.peers.delete(uid);
    this.#parts.addresses.forget(uid);
  }

  /** Ends the links that trust does not allow any more, and begins those that it allows now. */
  reviewTrust(): void {
    this.#timers.clear('trust');
    const again: PresenceChange[] = [];
    for (const [uid, peer] of this.#parts.peers) {
      if (this.#parts.trust.allows(peer.member, uid)) continue;
      this.#parts.log.info({ peer: uid, member: peer.member }, 'not trusted any more');
      this.perform(peer, peer.machine.revoke('the other end does not trust this node (any more)'));
      const node = this.#parts.addresses.addressing?.announcedBy(uid);
      this.forget(uid);
      if (!peer.present || peer.jid === undefined) continue;
      again.push({ from: peer.jid, available: true, ...(node === undefined ? {} : { node }) });
    }
    this.#parts.trust.reviewed();
    for (const presence of [...again, ...this.#parts.trust.due(monotonicMs())]) this.presence(presence);
    if (this.#parts.trust.unsettled) this.#reviewTrustSoon();
    this.schedule();
  }

  #reviewTrustSoon(): void {
    if (!this.#timers.has('trust')) this.#timers.after('trust', TRUST_REVIEW_MS, () => this.reviewTrust());
  }

  signal(incoming: IncomingSignal): void {
    const local = this.#parts.local();
    if (local === undefined || uidOfFullJid(incoming.from) === local._uid) {
      // Nobody else has this node's name, and it has nothing to say to itself.
      incoming.refuse('forbidden');
      return;
    }
    const verdict = this.#parts.admission.judge(incoming.from, incoming.type, incoming.data, monotonicMs());
    if (verdict.refused !== undefined) {
      if (verdict.detail !== undefined) this.#parts.log.warn({ from: incoming.from }, verdict.detail);
      incoming.refuse(verdict.refused);
      return;
    }
    const { type, signal } = verdict;
    const peer = this.peer(signal.uid, bareJid(incoming.from));
    if (peer === undefined || !this.#parts.ready()) {
      incoming.refuse('resource-constraint');
      return;
    }
    const now = monotonicMs();
    if (
      type === 'con_req' &&
      isUnlinked(peer) &&
      !this.#parts.turns.mayAccept(this.#parts.peers.connecting)
    ) {
      this.counters.attempts_put_off++;
      // It asks again, and is asked when its turn comes.
      this.#parts.turns.wait(signal.uid, now);
      incoming.refuse('resource-constraint');
      return;
    }
    if (type === 'con_req' && !this.#parts.watch.admits(peer, now)) {
      incoming.refuse('resource-constraint');
      return;
    }
    peer.jid = incoming.from;
    peer.network = signal.network ?? peer.network;
    this.#parts.stories.add(signal.uid, `${type} of attempt ${signal.attempt} came`);
    if (signal.node !== undefined) this.#parts.addresses.heard(signal.uid, peer.member, signal.node);
    if (signal.refused !== undefined) this.#parts.addresses.refused(signal.refused);
    const actions = peer.machine.signal(type, signal, now);
    if (actions === undefined) incoming.refuse('not-acceptable');
    else incoming.respond();
    this.perform(peer, actions ?? []);
    if (peer.machine.state.is === 'connecting') {
      // It need not be waited for any more.
      this.#parts.turns.leave(signal.uid);
      this.#tellPresent(signal.uid);
    }
    this.schedule();
  }

  candidates({ uid, attempt, data, network }: ConResp): void {
    this.#parts.runner.network = network ?? this.#parts.runner.network;
    const peer = this.#parts.peers.get(uid);
    if (peer === undefined) return;
    const space = data.indexOf(' ');
    this.perform(peer, peer.machine.described(attempt, space < 0 ? '' : data.slice(space + 1)));
  }

  linkState({ uid, data, attempt, reason, code }: ConStat): void {
    const peer = this.#parts.peers.get(uid);
    if (peer === undefined) return;
    const now = monotonicMs();
    if (code === ACCOUNT_MISMATCH) {
      this.counters.links_of_other_account++;
      this.#parts.log.warn({ peer: uid, member: peer.member, attempt }, reason);
      this.#parts.trust.disowned(peer.member, uid, now);
    }
    if (data === 'online') {
      if (this.#parts.trust.proved(peer.member, uid)) peer.machine.online(attempt, now);
      // Whoever was second at a first contact loses its link now.
      this.reviewTrust();
      // Who is pinned by now may hold an address.
      this.#parts.addresses.sync();
    } else this.perform(peer, peer.machine.offline(attempt, reason ?? 'the link ended', now));
    if (code === ACCOUNT_MISMATCH) this.reviewTrust();
    this.schedule();
  }

  /** A link went silent, or is heard again. What broke its path may have broken that to the hub as well. */
  suspect({ uid, attempt, suspect }: LinkSuspect): void {
    const peer = this.#parts.peers.get(uid);
    if (peer === undefined) return;
    if (suspect) this.#parts.session()?.check();
    const { machine } = peer;
    this.perform(peer, suspect ? machine.suspect(attempt, monotonicMs()) : machine.heardAgain(attempt));
    this.schedule();
  }

  /** Addresses or routes of this machine changed. */
  networkChanged(): void {
    this.#parts.session()?.networkChanged();
    const now = monotonicMs();
    for (const peer of this.#parts.peers.values()) this.perform(peer, peer.machine.networkChanged(now));
    this.schedule();
  }

  peer(uid: Uid, member: string): Peer | undefined {
    const existing = this.#parts.peers.get(uid);
    if (existing?.member === member) return existing;
    if (existing !== undefined) {
      this.perform(existing, existing.machine.revoke('another member names this node'));
      this.forget(uid);
    }
    return this.#parts.peers.add(uid, member);
  }

  perform(peer: Peer, actions: readonly PeerAction[]): void {
    this.#parts.runner.perform(peer, actions);
  }

  /** A packet waits for a link. While the hub is away none could be made; the next packet asks again. */
  wanted(uid: Uid): void {
    const peer = this.#parts.peers.get(uid);
    if (peer === undefined || !this.#parts.ready() || this.#parts.session()?.state.state !== 'online') return;
    if (!this.#parts.watch.admits(peer, monotonicMs())) return;
    this.#parts.gate.whenOpen(() => {
      // Its turn is now.
      this.#parts.turns.leave(uid);
      this.#tellPresent(uid);
      this.performFor(uid, peer.machine.want(monotonicMs()));
    });
  }

  /** For what comes of an answer: the peer may be gone by then. */
  performFor(uid: Uid, actions: readonly PeerAction[]): void {
    const peer = this.#parts.peers.get(uid);
    if (peer !== undefined) this.perform(peer, actions);
    this.schedule();
  }

  /** One timer for all machines. While the hub is away nothing could be signalled, so no attempt is begun or given up. */
  schedule(): void {
    this.#beginWaiting();
    const mayBegin = this.#parts.turns.mayBegin(this.#parts.peers.connecting);
    const due = [...this.#parts.peers.values()].filter((peer) => mayBegin || !isWaiting(peer));
    const waiting = mayBegin ? this.#parts.turns.nextAt() : Number.POSITIVE_INFINITY;
    const next = Math.min(waiting, ...due.map(({ machine }) => machine.nextDeadline()));
    if (!Number.isFinite(next) || !this.#parts.ready() || this.#parts.session()?.state.state !== 'online') {
      this.#timers.clear('machines');
      return;
    }
    this.#timers.after('machines', Math.max(MIN_TICK_MS, next - monotonicMs()), () => {
      const now = monotonicMs();
      let underWay = this.#parts.peers.connecting;
      for (const peer of this.#parts.peers.values()) {
        const wasWaiting = isWaiting(peer);
        if (wasWaiting && !this.#parts.turns.mayBegin(underWay)) continue;
        this.perform(peer, peer.machine.tick(now));
        if (wasWaiting && !isWaiting(peer)) underWay++;
      }
      this.schedule();
    });
  }

  #beginWaiting(): void {
    const { turns, peers } = this.#parts;
    const next = () => turns.next(peers.connecting, monotonicMs());
    for (let uid = next(); uid !== undefined; uid = next()) this.#tellPresent(uid);
  }
}

/** No link, no attempt, and nothing that speaks against one. */
function isUnlinked({ machine }: Peer): boolean {
  return machine.state.is === 'idle' || machine.state.is === 'waiting';
}

/** Its last attempt failed, and the next is due some time. */
function isWaiting({ machine }: Peer): boolean {
  return machine.state.is === 'waiting';
}
