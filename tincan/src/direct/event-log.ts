/** Enough to tell the story of a bad hour. */
const MAX_EVENTS = 50;

export interface PathEvent {
  /** monotonicMs clock. */
  at: number;
  what: string;
}

/** The last path events of a link, for a person who asks why it is as it is. */
export class EventLog {
  readonly #events: PathEvent[] = [];

  add(what: string, at: number): void {
    this.#events.push({ at, what });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }

  /** Oldest first. */
  all(): readonly PathEvent[] {
    return this.#events;
  }
}
