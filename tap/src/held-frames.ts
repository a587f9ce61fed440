/**
 * How many frames wait for one member's link, and how large they may be together: the first segments of a few connections, or two
 * super-frames. More would only be stale when they arrive.
 */
export const MAX_FRAMES_PER_MEMBER = 16;
export const MAX_BYTES_PER_MEMBER = 131_072;
/** And for all members together: a scan of the whole network must not take the memory of the machine. */
export const MAX_HELD_BYTES = 4 * 2 ** 20;
/** A link that takes longer than this to come up has lost its applications' patience: TCP has sent again three times by then. */
export const HOLD_MS = 10_000;

interface Waiting {
  readonly frames: { readonly bytes: Uint8Array; readonly heldAtMs: number }[];
  bytes: number;
}

/**
 * Frames that wait for a link of their member, in the order in which applications sent them. Full queues refuse the newest: of a
 * connection it is the first packet that counts. No I/O; times are of any monotonic clock, in milliseconds.
 */
export class HeldFrames {
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;
  #frames = 0;

  /** Of all members. */
  get frames(): number {
    return this.#frames;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a copy of `length` bytes of `data` from `offset` for a member; false when there is no room. */
  hold(uid: string, data: Uint8Array, offset: number, length: number, nowMs: number): boolean {
    const queue = this.#waiting.get(uid) ?? { frames: [], bytes: 0 };
    if (queue.frames.length >= MAX_FRAMES_PER_MEMBER || queue.bytes + length > MAX_BYTES_PER_MEMBER)
      return false;
    if (this.#bytes + length > MAX_HELD_BYTES) return false;
    queue.frames.push({ bytes: data.slice(offset, offset + length), heldAtMs: nowMs });
    queue.bytes += length;
    this.#bytes += length;
    this.#frames++;
    this.#waiting.set(uid, queue);
    return true;
  }

  /** Gives up a member's frames, oldest first. */
  take(uid: string): Uint8Array[] {
    const queue = this.#waiting.get(uid);
    if (queue === undefined) return [];
    this.#waiting.delete(uid);
    this.#bytes -= queue.bytes;
    this.#frames -= queue.frames.length;
    return queue.frames.map(({ bytes }) => bytes);
  }

  /** Forgets what waited for HOLD_MS; returns how many frames that were. */
  expire(nowMs: number): number {
    let expired = 0;
    for (const [uid, queue] of this.#waiting) {
      while (nowMs - (queue.frames[0]?.heldAtMs ?? nowMs) >= HOLD_MS) {
        const bytes = queue.frames.shift()?.bytes.length ?? 0;
        queue.bytes -= bytes;
        this.#bytes -= bytes;
        this.#frames--;
        expired++;
      }
      if (queue.frames.length === 0) this.#waiting.delete(uid);
    }
    return expired;
  }
}
