import type { Path } from './path.ts';

/** Why a probe was sent. */
export type Purpose = 'small' | 'full' | 'size';

export interface Flight {
  readonly id: number;
  readonly path: Path;
  /** Bytes of UDP payload. */
  readonly size: number;
  readonly purpose: Purpose;
  readonly sentAt: number;
  /** It has been called lost; an answer still counts. */
  isLate: boolean;
}

/** After this an answer proves nothing about the present any more, ms. */
const FORGET_AFTER_MS = 5_000;

/** How much later than a small one a large datagram may come: 9000 bytes take 72 ms at 1 Mbit/s. */
const LARGE_LAG_MS = 100;

/** Probes under way: 48 paths in their first second send five each, a search for sizes eleven. */
const MAX_FLIGHTS = 512;

/** Probes that wait for their answer, by id. Pure; times in ms. */
export class Flights {
  readonly #flights = new Map<number, Flight>();
  #nextId: number;

  /** @param firstId u32 */
  constructor(firstId: number) {
    this.#nextId = firstId;
  }

  /** Notes a probe; its id. */
  add(path: Path, size: number, purpose: Purpose, now: number): number {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    this.#flights.set(id, { id, path, size, purpose, sentAt: now, isLate: false });
    for (const oldest of this.#flights.keys()) {
      if (this.#flights.size <= MAX_FLIGHTS) break;
      this.#flights.delete(oldest);
    }
    return id;
  }

  /** The probe that this reply answers, once; undefined for a reply to nothing. */
  take(id: number): Flight | undefined {
    const flight = this.#flights.get(id);
    this.#flights.delete(id);
    return flight;
  }

  /** Probes whose grace ends now; each is named once. */
  expire(now: number): Flight[] {
    const expired: Flight[] = [];
    for (const flight of this.#flights.values()) {
      if (!flight.isLate && now >= deadline(flight)) {
        flight.isLate = true;
        expired.push(flight);
      }
      if (now - flight.sentAt >= FORGET_AFTER_MS) this.#flights.delete(flight.id);
    }
    return expired;
  }

  /** When `expire` names the next. */
  get dueAt(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const flight of this.#flights.values()) {
      if (!flight.isLate) due = Math.min(due, deadline(flight));
    }
    return due;
  }

  forget(path: Path): void {
    for (const flight of this.#flights.values()) {
      if (flight.path === path) this.#flights.delete(flight.id);
    }
  }
}

/** When a probe counts as unanswered: a large one soon after a smaller one of the same time was answered. */
function deadline({ path, purpose, sentAt }: Flight): number {
  const latest = sentAt + path.graceMs;
  if (purpose === 'small' || path.provedAt < sentAt) return latest;
  return Math.min(latest, path.lastAnswerAt + Math.max(LARGE_LAG_MS, (path.srtt ?? 0) / 2));
}
