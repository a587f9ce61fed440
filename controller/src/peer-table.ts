import { monotonicMs } from '@kith/base';
import type { NetworkView, SecurityTerms, Uid } from '@kith/protocol';
import type { LinkUse } from './link-budget.ts';
import { PeerMachine } from './peer-machine.ts';
import type { PeerView } from './status-report.ts';

/** Peer nodes that we keep a machine for; a roster beyond it is not a circle of friends, and each machine costs a kilobyte. */
const MAX_PEERS = 2_048;

/**
 * A node that is neither present nor linked for this long is gone: longer than the hub takes to tell everybody's presence after a new
 * session, so that nobody's address is given away meanwhile.
 */
export const GONE_AFTER_MS = 10_000;

export interface Peer {
  readonly machine: PeerMachine;
  /** Bare JID of the member. */
  readonly member: string;
  /** Full JID of the node's controller, once heard. */
  jid: string | undefined;
  present: boolean;
  /** `monotonicMs()` of the moment since which it has not been present. */
  absentSince: number;
  /** Milliseconds since the link's last packet, and when that was measured. */
  idle: { ms: number | null; at: number } | undefined;
  /** Its IPv4 address when tincan was last told; undefined: it has not said where it is. */
  address: string | null | undefined;
  /** How UDP leaves its machine, as its last signal says. */
  network: NetworkView | undefined;
}

/** The nodes of members that were heard of, by UID. */
export class PeerTable extends Map<Uid, Peer> {
  readonly #mine: SecurityTerms;
  readonly #onDemand: boolean;
  readonly counters = { peers_beyond_limit: 0 };

  constructor(mine: SecurityTerms, onDemand: boolean) {
    super();
    this.#mine = mine;
    this.#onDemand = onDemand;
  }

  /** Makes a peer that is not there yet; undefined at the limit. */
  add(uid: Uid, member: string): Peer | undefined {
    if (this.size >= MAX_PEERS) {
      this.counters.peers_beyond_limit++;
      return undefined;
    }
    const machine = new PeerMachine(uid, this.#mine, Math.random, this.#onDemand);
    const peer: Peer = {
      ...{ machine, member, jid: undefined, present: false },
      ...{ absentSince: monotonicMs(), idle: undefined, address: undefined, network: undefined },
    };
    this.set(uid, peer);
    return peer;
  }

  /** Links that there are or that are being made. */
  get linked(): number {
    let count = 0;
    for (const { machine } of this.values()) {
      if (machine.state.is === 'connecting' || machine.state.is === 'online') count++;
    }
    return count;
  }

  /** Links that are being made where there is none. */
  get connecting(): number {
    let count = 0;
    for (const { machine } of this.values()) if (machine.state.is === 'connecting') count++;
    return count;
  }

  /** Nodes that are signed in at the hub, and nodes to which there is a link. */
  get census(): { present: number; online: number } {
    let [present, online] = [0, 0];
    for (const peer of this.values()) {
      if (peer.present) present++;
      if (peer.machine.state.is === 'online') online++;
    }
    return { present, online };
  }

  /** How much the links are used, as far as measured. */
  uses(now: number): LinkUse[] {
    return [...this].flatMap(([uid, { machine, idle }]): LinkUse[] => {
      const { state } = machine;
      if (state.is === 'connecting') return [{ uid, online: false, ageMs: 0, idleMs: null }];
      if (state.is !== 'online') return [];
      const idleMs = idle === undefined || idle.ms === null ? null : idle.ms + (now - idle.at);
      return [{ uid, online: true, ageMs: now - state.since, idleMs }];
    });
  }

  /** What a status report shows of them. */
  views(): PeerView[] {
    return [...this].map(([uid, { machine, member, present, network }]) => ({
      ...{ uid, member, present, state: machine.state, why: machine.why, lastFailure: machine.lastFailure },
      ...{ answered: machine.isAnswered, network: network ?? null },
    }));
  }

  /** Whether the node is neither there nor linked, and was not for a while. */
  isGone({ present, absentSince, machine }: Peer, now: number): boolean {
    const linked = machine.state.is === 'online' || machine.state.is === 'connecting';
    return !present && !linked && now - absentSince >= GONE_AFTER_MS;
  }
}
