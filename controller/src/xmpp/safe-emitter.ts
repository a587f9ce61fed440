type Listener<T> = (value: T) => void;

/**
 * Events with types, and with listeners whose exceptions harm neither the one who tells nor the other listeners.
 */
export class SafeEmitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();
  readonly #onError: (event: keyof Events, error: unknown) => void;

  constructor(onError: (event: keyof Events, error: unknown) => void) {
    this.#onError = onError;
  }

  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): void {
    const set = this.#listeners.get(event) ?? new Set();
    set.add(listener);
    this.#listeners.set(event, set);
  }

  off<K extends keyof Events>(event: K, listener: Listener<Events[K]>): void {
    this.#listeners.get(event)?.delete(listener);
  }

  /** Number of listeners that heard it without throwing. */
  emit<K extends keyof Events>(event: K, value: Events[K]): number {
    let heard = 0;
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        // `on` is the only way into the set, and it pairs each event with listeners of its own value type.
        (listener as Listener<Events[K]>)(value);
        heard++;
      } catch (error) {
        this.#onError(event, error);
      }
    }
    return heard;
  }
}
