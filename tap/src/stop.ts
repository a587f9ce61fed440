/** One shared word that asks a worker to end. */
export type SharedStop = Int32Array<SharedArrayBuffer>;

export function newStop(): SharedStop {
  return new Int32Array(new SharedArrayBuffer(4));
}

export function askToStop(stop: SharedStop): void {
  Atomics.store(stop, 0, 1);
}

export function isAskedToStop(stop: SharedStop): boolean {
  return Atomics.load(stop, 0) !== 0;
}
