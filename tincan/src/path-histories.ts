import type { Uid } from '@kith/protocol';
import { EventLog } from './direct/event-log.ts';

/** Nodes whose events are kept: as many as there can be links, and as many again that are being made or over. */
const MAX_NODES = 512;

/** The path events of nodes, which outlive the links: why one ended is asked for when there is none. */
export class PathHistories {
  /** The least recently used first. */
  readonly #logs = new Map<Uid, EventLog>();

  /** The log to add to. */
  of(uid: Uid): EventLog {
    const log = this.#logs.get(uid) ?? new EventLog();
    this.#logs.delete(uid);
    this.#logs.set(uid, log);
    for (const oldest of this.#logs.keys()) {
      if (this.#logs.size <= MAX_NODES) break;
      this.#logs.delete(oldest);
    }
    return log;
  }

  /** What happened on the way to a node, oldest first. */
  told(uid: Uid, now: number): { ago_ms: number; what: string }[] {
    const events = this.#logs.get(uid)?.all() ?? [];
    return events.map(({ at, what }) => ({ ago_ms: Math.max(0, Math.round(now - at)), what }));
  }
}
