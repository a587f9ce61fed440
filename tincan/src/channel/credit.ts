/**
 * Flow control of the `frames` channel. node-datachannel hands messages to JavaScript through a queue without a bound, so a
 * receiver whose thread stalls would grow without limit; SCTP does not see that queue. Hence the receiver grants message numbers,
 * and the sender stays within the grant. Pure.
 */

/**
 * Messages that may be on their way or in the receiver's process. 512 messages of at most 16 KiB bound it to 8 MiB per link, and
 * carry 400 Mbit/s over a round trip of 160 ms when messages are full.
 */
export const CREDIT_WINDOW = 512;

/** The receiver reports each time the sender has used this much of the window, so that the grant never runs dry on a healthy path. */
const REPORT_EVERY = CREDIT_WINDOW / 8;

export interface CreditReport {
  /** The highest number that may be sent. */
  grant: number;
  /** The highest number known to have been sent. */
  seq: number;
  /** How many messages arrived. */
  received: number;
}

/** What the receiving side knows. */
export class CreditReceiver {
  #highest = 0;
  #received = 0;
  #reported = 0;

  /** Notes a message's number. Returns false when the sender exceeds its grant, which only a broken or hostile peer does. */
  accept(sequence: number): boolean {
    if (sequence < 1 || sequence > this.#reported + CREDIT_WINDOW) return false;
    if (sequence > this.#highest) this.#highest = sequence;
    this.#received++;
    return true;
  }

  /**
   * The sender says how many it has sent. Without this, a path that swallowed a whole window would leave the sender without credit
   * for ever, since the lost messages cannot report themselves. Returns false when the number exceeds the grant.
   */
  peerSent(count: number): boolean {
    if (count > this.#reported + CREDIT_WINDOW) return false;
    if (count > this.#highest) this.#highest = count;
    return true;
  }

  /** Whether enough was consumed that the sender should hear of it at once. */
  get reportDue(): boolean {
    return this.#highest - this.#reported >= REPORT_EVERY;
  }

  /** Whether there is anything that the sender has not heard of. */
  get hasNews(): boolean {
    return this.#highest > this.#reported;
  }

  /** The report to send now. */
  report(): CreditReport {
    this.#reported = this.#highest;
    return { grant: this.#highest + CREDIT_WINDOW, seq: this.#highest, received: this.#received };
  }
}

/** What the sending side knows. */
export class CreditSender {
  #next = 1;
  #granted = CREDIT_WINDOW;
  #last: { seq: number; received: number } = { seq: 0, received: 0 };
  #lossPerMille = 0;

  /** Whether another message may be sent. */
  get open(): boolean {
    return this.#next <= this.#granted;
  }

  /** Takes the number of the next message. */
  take(): number {
    return this.#next++;
  }

  /** A report arrived. A grant is never taken back; a report that cannot be true is ignored. */
  credit(report: CreditReport): void {
    const { grant, seq, received } = report;
    if (seq >= this.#next || received > seq || grant > seq + CREDIT_WINDOW) return;
    if (grant > this.#granted) this.#granted = grant;
    const newlySent = seq - this.#last.seq;
    if (newlySent <= 0) return;
    // May be negative for once: a ping can overtake frames, which then count as lost first and as found later.
    const lost = newlySent - (received - this.#last.received);
    // An average over about eight reports, i.e. over one window of messages.
    const average = this.#lossPerMille + ((lost * 1000) / newlySent - this.#lossPerMille) / 8;
    this.#lossPerMille = Math.min(1000, Math.max(0, average));
    this.#last = { seq, received };
  }

  /** Share of messages that did not arrive, in thousandths, averaged over about one window. */
  get lossPerMille(): number {
    return this.#lossPerMille;
  }

  get sent(): number {
    return this.#next - 1;
  }
}
