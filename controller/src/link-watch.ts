import { describeError, type Logger, monotonicMs, Timers } from '@kith/base';
import type { KithConfig } from '@kith/config';
import type { PeerState, Uid } from '@kith/protocol';
import { type BudgetRules, hasRoomFor, linksToRest, measureEveryMs } from './link-budget.ts';
import type { Peer, PeerTable } from './peer-table.ts';

/** How long after a link was let in beyond the limit the least used one goes: by then the new one is under way. */
const MAKE_ROOM_MS = 1_000;

/** Tells how links are used; a TincanClient is one. */
export interface LinkMeter {
  /** Why it cannot be asked, or null. */
  readonly down: string | null;
  getState(uid: string, stats: boolean): Promise<LinkUses>;
}

interface LinkUses {
  readonly peers: readonly Pick<PeerState, 'uid' | 'last_traffic_ms'>[];
}

export interface LinkWatchParts {
  readonly links: KithConfig['network']['links'];
  readonly peers: PeerTable;
  readonly tincan: LinkMeter;
  readonly log: Logger;
  /** Gives a link up until somebody wants it again. */
  readonly rest: (peer: Peer, reason: string) => void;
}

/** Watches how much links are used, and keeps their number within the limit. */
export class LinkWatch {
  readonly #parts: LinkWatchParts;
  readonly #rules: BudgetRules;
  readonly #timers = new Timers();
  readonly counters = { links_rested: 0, links_beyond_limit: 0 };

  constructor(parts: LinkWatchParts) {
    this.#parts = parts;
    const { when, idle_s, max } = parts.links;
    this.#rules = { max, idleMs: when === 'on-demand' ? idle_s * 1000 : null };
  }

  start(): void {
    this.#timers.every('measure', measureEveryMs(this.#rules), () => void this.#measure());
  }

  stop(): void {
    this.#timers.clearAll();
  }

  /** Whether there is room for a link that nobody asks for. */
  hasSpareRoom(): boolean {
    return this.#parts.peers.linked < this.#rules.max;
  }

  /** Whether a link may be made that a packet or the peer asks for; counted when not. */
  admits({ machine }: Peer, now: number): boolean {
    const isLinked = machine.state.is === 'connecting' || machine.state.is === 'online';
    if (isLinked) return true;
    const { peers } = this.#parts;
    if (hasRoomFor(peers.uses(now), this.#rules)) {
      if (peers.linked >= this.#rules.max)
        this.#timers.after('make room', MAKE_ROOM_MS, () => void this.#measure());
      return true;
    }
    this.counters.links_beyond_limit++;
    return false;
  }

  async #measure(): Promise<void> {
    const { peers, tincan, log, rest } = this.#parts;
    const { idleMs, max } = this.#rules;
    // Where nothing would come of it, tincan is not asked.
    if (tincan.down !== null || (idleMs === null && peers.linked < max)) return;
    let state: LinkUses;
    try {
      state = await tincan.getState('', false);
    } catch (error) {
      log.debug(`use of links not measured: ${describeError(error)}`);
      return;
    }
    const now = monotonicMs();
    for (const { uid, last_traffic_ms } of state.peers) {
      const peer = peers.get(uid);
      if (peer !== undefined) peer.idle = { ms: last_traffic_ms, at: now };
    }
    for (const { uid, reason } of linksToRest(peers.uses(now), this.#rules)) this.#rest(uid, reason, rest);
  }

  #rest(uid: Uid, reason: string, rest: LinkWatchParts['rest']): void {
    const { peers, log } = this.#parts;
    const peer = peers.get(uid);
    if (peer === undefined) return;
    this.counters.links_rested++;
    log.info({ peer: uid }, `link given up: ${reason}`);
    rest(peer, reason);
  }
}
