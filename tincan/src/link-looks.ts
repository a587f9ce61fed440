import { calmMoment, EARLY_MS, monotonicMs, nextGridMoment, Timers } from '@kith/base';
import type { Pace } from './channel/library-threads.ts';
import { IDLE_KEEPALIVE_MS } from './direct/path-watch.ts';

/** How often links look at the clock; pings are due each second and death is noticed within this much. Calm ones are looked at by calmMoment. */
const TICK_MS = 250;
/** The same when all of them are resting: with the probes of idle paths, so that both cost one wake-up. */
const REST_MS = IDLE_KEEPALIVE_MS;

/** A link as far as it has to be looked at. */
export interface LookedAt {
  /** A look each second is enough. */
  readonly isCalm: boolean;
  /** Nothing is to be seen but what the direct carrier asks and hears by itself. */
  readonly isResting: boolean;
  /** @param dueAt when the look was to be, monotonic ms, at most `now` */
  tick(now: number, dueAt: number): void;
}

export interface LinkLooksParts {
  every(): LookedAt[];
  /** Calls the handler once, when the next frame to one station goes or comes by a direct carrier. */
  whenUsed(handler: () => void): void;
  /** In how much of a hurry all links together are. */
  setPace(pace: Pace): void;
}

/** When each link is looked at: the less there is to see, the less often, since each look wakes the process. */
export class LinkLooks {
  readonly #parts: LinkLooksParts;
  readonly #timers = new Timers();
  /** When each link is to be looked at; one that is not in it, now. */
  #dueAt = new WeakMap<LookedAt, number>();
  /** All links were resting at the last look; whatever ends that calls stir. */
  #isResting = false;

  constructor(parts: LinkLooksParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#look();
  }

  close(): void {
    this.#timers.clearAll();
  }

  /** There is another link, which will be in a hurry. */
  opened(): void {
    this.#parts.setPace('busy');
    this.stir();
  }

  /** Something happens after which links may not be resting any more. */
  stir(): void {
    if (!this.#isResting) return;
    this.#isResting = false;
    // Not at once: the caller may be in the middle of what there is to see.
    this.#timers.after('stirred', 0, () => this.#lookAtAll());
  }

  /** Something is to be seen of any link after so many ms, whenever its next look would be. */
  lookAtAllAfter(delayMs: number): void {
    this.#timers.after('changed', delayMs, () => this.#lookAtAll());
  }

  #lookAtAll(): void {
    this.#dueAt = new WeakMap();
    this.#look();
  }

  /** Looks at the links that it is time for, and sets the timer for the next look. */
  #look(): void {
    const now = monotonicMs();
    const wasResting = this.#isResting;
    this.#isResting = false;
    for (const link of this.#parts.every()) {
      const dueAt = this.#dueAt.get(link) ?? now;
      if (dueAt > now + EARLY_MS) continue;
      link.tick(now, Math.min(dueAt, now));
      this.#dueAt.set(link, link.isCalm ? nextCalmMoment(now) : now + TICK_MS);
    }
    const links = this.#parts.every();
    const isCalm = links.every((link) => link.isCalm);
    this.#isResting = isCalm && links.every((link) => link.isResting);
    this.#parts.setPace(this.#isResting ? 'resting' : isCalm ? 'calm' : 'busy');
    if (this.#isResting) this.#parts.whenUsed(() => this.stir());
    let next = isCalm ? nextCalmMoment(now) : now + TICK_MS;
    // A frame that came before the worker was asked to tell of one is seen by one more look.
    if (this.#isResting && wasResting) {
      next = nextGridMoment(now, REST_MS);
      for (const link of links) this.#dueAt.set(link, next);
    }
    this.#timers.after('next', next - now, () => this.#look());
  }
}

/** A whole turn of the grid later where this look stands on it. */
function nextCalmMoment(now: number): number {
  return calmMoment(now + EARLY_MS);
}
