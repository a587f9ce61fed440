import { isThreadNamed, setTimerSlack, threadsNamed } from '@kith/posix';

/** How much of a hurry the links are in, all together. */
export type Pace = 'busy' | 'calm' | 'resting';

/**
 * How much later than asked threads may be woken, in ns, that libdatachannel 0.24 keeps for all connections of a process, while nothing
 * is in a hurry.
 *
 * usrsctp's wakes every 10 ms, links or none, which alone took 0.37 % of a core. It counts its own wake-ups as time: SCTP's timers run seven
 * times slower while links are calm, and what was lost is still sent again before its link counts as dead. Where all rest, carried by the
 * direct path, they run 25 times slower. An acknowledgement that waits for two wake-ups comes after half a second then, and a peer that does
 * not rest has sent the message again by then: a packet for each message that no answer follows, of which a link at rest has none.
 *
 * libjuice's asks each peer each 4 to 6 s for its consent (RFC 7675), drawn for each: what is due within two seconds goes out in one
 * wake-up. A peer has 30 s to answer.
 */
const SLACK_NS: Readonly<Record<Pace, ReadonlyMap<string, number>>> = {
  busy: new Map([
    ['SCTP timer', 0],
    ['juice poll', 0],
  ]),
  calm: new Map([
    ['SCTP timer', 60_000_000],
    ['juice poll', 2_000_000_000],
  ]),
  resting: new Map([
    ['SCTP timer', 240_000_000],
    ['juice poll', 2_000_000_000],
  ]),
};

/** Lets the library's threads sleep longer while all links are calm. Where the kernel forbids it they go on as they are. */
export class LibraryThreads {
  #pace: Pace = 'busy';
  /** One of each name, as long as it lives: libjuice's ends with the last connection. */
  readonly #found = new Map<string, number>();

  /** To be called at each change, and cheap when there is none. */
  setPace(pace: Pace): void {
    if (pace === this.#pace) return;
    this.#pace = pace;
    for (const [name, slack] of SLACK_NS[pace]) {
      const thread = this.#find(name);
      if (thread !== undefined) setTimerSlack(thread, slack);
    }
  }

  #find(name: string): number | undefined {
    const known = this.#found.get(name);
    if (known !== undefined && isThreadNamed(known, name)) return known;
    const [thread] = threadsNamed(name);
    if (thread === undefined) this.#found.delete(name);
    else this.#found.set(name, thread);
    return thread;
  }
}
