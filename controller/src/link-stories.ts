import { monotonicMs } from '@kith/base';
import type { PathEventStatus, Uid } from '@kith/protocol';

/** As many as tincan keeps of a link. */
const MAX_EVENTS = 50;

/** Nodes whose story is kept; tincan keeps as many. */
const MAX_NODES = 512;

/** What the controller saw happen on the way to each node: presence, signals and their answers. Bounded. */
export class LinkStories {
  /** The node that was quiet longest first. */
  readonly #events = new Map<Uid, { at: number; what: string }[]>();

  add(uid: Uid, what: string, at: number = monotonicMs()): void {
    const events = this.#events.get(uid) ?? [];
    this.#events.delete(uid);
    this.#events.set(uid, events);
    events.push({ at, what });
    if (events.length > MAX_EVENTS) events.shift();
    for (const quietest of this.#events.keys()) {
      if (this.#events.size <= MAX_NODES) break;
      this.#events.delete(quietest);
    }
  }

  /** The last events of both processes, oldest first. */
  merged(uid: Uid, tincans: readonly PathEventStatus[], now: number = monotonicMs()): PathEventStatus[] {
    const own = (this.#events.get(uid) ?? []).map(({ at, what }) => ({
      ago_ms: Math.max(0, Math.round(now - at)),
      what,
    }));
    return [...own, ...tincans].sort((a, b) => b.ago_ms - a.ago_ms).slice(-MAX_EVENTS);
  }
}
