/** How long nothing has come over a link that should carry. Pure; times in ms. */
export class FlowWatch {
  #bytes: number | undefined;
  #since = 0;

  /**
   * Takes in a look: what the link has received in all, or undefined where nothing need have come since the last look. Gives how
   * long the count has stood still; a link that was made anew counts from zero, which is no standstill.
   */
  silentMs(bytes: number | undefined, now: number): number {
    if (bytes !== undefined && bytes === this.#bytes) return now - this.#since;
    this.#bytes = bytes;
    this.#since = now;
    return 0;
  }
}
