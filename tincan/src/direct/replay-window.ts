/** Probes of one key that may overtake each other; a link sends a few per second and a burst of some forty. */
const WINDOW = 1_024;

/** RFC 6479: which of the last counters were seen. Pure. */
export class ReplayWindow {
  readonly #seen = new Uint32Array(WINDOW / 32);
  #next = 0;

  /** True when the counter is new; it is then remembered. To be asked only about authentic datagrams. */
  accept(counter: number): boolean {
    if (counter < this.#next - WINDOW) return false;
    if (counter >= this.#next) {
      // Forget the places that the window moves over; at most all of them.
      const from = Math.max(this.#next, counter - WINDOW + 1);
      for (let passed = from; passed <= counter; passed++) this.#set(passed, false);
      this.#next = counter + 1;
    } else if (this.#isSet(counter)) {
      return false;
    }
    this.#set(counter, true);
    return true;
  }

  #isSet(counter: number): boolean {
    const place = counter % WINDOW;
    return (((this.#seen[place >>> 5] ?? 0) >>> (place & 31)) & 1) === 1;
  }

  #set(counter: number, value: boolean): void {
    const place = counter % WINDOW;
    const bit = 1 << (place & 31);
    const word = this.#seen[place >>> 5] ?? 0;
    this.#seen[place >>> 5] = value ? word | bit : word & ~bit;
  }
}
