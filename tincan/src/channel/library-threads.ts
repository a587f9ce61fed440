import { setTimerSlack, threadsNamed } from '@kith/posix';

/**
 * How much later than asked threads may be woken, in ns, that libdatachannel 0.24 keeps for all connections of a process, while nothing
 * is in a hurry.
 *
 * usrsctp's wakes every 10 ms, links or none, which alone took 0.37 % of a core. It counts its own wake-ups as time: SCTP's timers run 25
 * times slower. An acknowledgement that waits for two of them comes after half a second, and a peer whose links are not calm has sent the
 * message again by then: a packet for each message that no answer follows, of which a calm link has none.
 *
 * libjuice's asks each peer each 4 to 6 s for its consent (RFC 7675), drawn for each: what is due within two seconds goes out in one
 * wake-up. A peer has 30 s to answer.
 */
const CALM_SLACK_NS: ReadonlyMap<string, number> = new Map([
  ['SCTP timer', 240_000_000],
  ['juice poll', 2_000_000_000],
]);

/** Lets the library's threads sleep longer while all links are calm. Where the kernel forbids it they go on as they are. */
export class LibraryThreads {
  #isCalm = false;

  /** To be called at each change, and cheap when there is none. */
  setCalm(isCalm: boolean): void {
    if (isCalm === this.#isCalm) return;
    this.#isCalm = isCalm;
    for (const [name, slack] of CALM_SLACK_NS) {
      for (const thread of threadsNamed(name)) setTimerSlack(thread, isCalm ? slack : 0);
    }
  }
}
