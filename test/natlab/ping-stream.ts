import { createInterface } from 'node:readline';
import { ended, type Host } from '../lab/index.ts';

/** The grain of every figure taken from it. */
export const PING_INTERVAL_MS = 50;

/** Shorter gaps are the business of a busy machine, not of a path. */
const SILENCE_MS = 4 * PING_INTERVAL_MS;

/** A ping that never stops, with the time at which each reply came. */
export class PingStream {
  readonly #child: ReturnType<Host['spawn']>;
  /** performance.now() of each reply. */
  readonly #replies: number[] = [];

  constructor(from: Host, address: string) {
    this.#child = from.spawn('ping', ['-n', '-i', String(PING_INTERVAL_MS / 1000), address], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (this.#child.stdout === null) return;
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      if (line.includes('bytes from')) this.#replies.push(performance.now());
    });
  }

  get replies(): readonly number[] {
    return this.#replies;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await ended(this.#child);
  }
}

export interface Outage {
  /** The longest time without a reply, ms. */
  longestMs: number;
  /** From the event until replies came again after that time, ms; 0: they were never silent; null: they never did. */
  backMs: number | null;
  /** Share of pings between the event and the end that were answered. */
  answered: number;
}

/** What an event at `from` did to a ping until `to`, both performance.now(). */
export function outage(replies: readonly number[], from: number, to: number): Outage {
  // The reply before the event starts the first gap.
  const before = replies.filter((at) => at < from).at(-1) ?? from;
  const within = replies.filter((at) => at >= from && at <= to);
  const marks = [before, ...within, to];
  let longestMs = 0;
  let backAt: number | null = null;
  for (const [index, at] of marks.entries()) {
    const next = marks[index + 1];
    if (next === undefined || next - at <= longestMs) continue;
    longestMs = next - at;
    backAt = index + 1 === marks.length - 1 ? null : next;
  }
  if (longestMs <= SILENCE_MS) backAt = from;
  const answered = Math.min(1, (within.length * PING_INTERVAL_MS) / Math.max(to - from, 1));
  return { longestMs, backMs: backAt === null ? null : backAt - from, answered };
}
