/**
 * The descriptor that the egress worker watches for the main thread, besides its own two: Node's event loop takes none of its own
 * choice, and a timer that looks ten times a second costs more than all else that an idle node does.
 */
export type SharedWatch = Int32Array<SharedArrayBuffer>;

/** poll(2) passes over a negative descriptor. */
export const NOTHING = -1;

export function newWatch(): SharedWatch {
  return new Int32Array(new SharedArrayBuffer(4)).fill(NOTHING);
}

/** From the worker's next look on; it tells once, and watches nothing after that. */
export function setWatched(shared: SharedWatch, fd: number): void {
  Atomics.store(shared, 0, fd);
}

export function watchedFd(shared: SharedWatch): number {
  return Atomics.load(shared, 0);
}

/** The worker has told of `fd`. What the main thread asked for meanwhile stands. */
export function clearWatched(shared: SharedWatch, fd: number): void {
  Atomics.compareExchange(shared, 0, fd, NOTHING);
}
