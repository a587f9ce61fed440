import { FRAMES_HEADER_BYTES, forEachFrame, readFramesSequence, writeFramesHeader } from '@kith/protocol';
import { AGGREGATE_MAX_BYTES, nextAggregate } from './aggregation.ts';
import { CreditReceiver, type CreditReport, CreditSender } from './credit.ts';
import { FrameQueue } from './frame-queue.ts';

/**
 * Bytes of frames that may wait for one link. 256 KiB is 10 ms at the 200 Mbit/s that a data channel reaches, and a full window of
 * a TCP connection over 100 ms at 20 Mbit/s: long enough to keep the channel busy, short enough not to add a second of delay.
 */
const QUEUE_BYTES = 262_144;

/** What the carrier needs of the session below it. */
export interface FramesChannel {
  readonly framesBuffered: number;
  sendFrames(message: Uint8Array): boolean;
}

export interface ChannelCarrierEvents {
  frame(data: Uint8Array, offset: number, length: number): void;
  sendCredit(report: CreditReport): void;
  /** The peer broke the rules of the channel. */
  violation(reason: string): void;
}

/** The `channel` carrier of one link: frames over an unordered data channel without retransmission. */
export class ChannelCarrier {
  readonly #channel: FramesChannel;
  readonly #events: ChannelCarrierEvents;
  readonly #queue = new FrameQueue(QUEUE_BYTES);
  readonly #sender = new CreditSender();
  readonly #receiver = new CreditReceiver();
  readonly #message: Uint8Array;
  #aggregate = AGGREGATE_MAX_BYTES;
  rxBytes = 0;
  txBytes = 0;
  rxFrames = 0;
  malformed = 0;

  /** @param maxFrameBytes longest frame that the TAP device gives */
  constructor(channel: FramesChannel, maxFrameBytes: number, events: ChannelCarrierEvents) {
    this.#channel = channel;
    this.#events = events;
    this.#message = new Uint8Array(FRAMES_HEADER_BYTES + AGGREGATE_MAX_BYTES + maxFrameBytes + 2);
  }

  /** Queues one frame; `flush` sends. */
  enqueue(data: Uint8Array, offset: number, length: number): void {
    if (this.#queue.push(data, offset, length)) this.txBytes += length;
  }

  /** Sends what waits as far as the channel and the peer's credit allow. */
  flush(): void {
    while (!this.#queue.isEmpty && this.#sender.open && this.#channel.framesBuffered === 0) {
      const bytes = this.#queue.take(this.#message, FRAMES_HEADER_BYTES, this.#aggregate);
      writeFramesHeader(this.#message, this.#sender.take());
      if (!this.#channel.sendFrames(this.#message.subarray(0, FRAMES_HEADER_BYTES + bytes))) return;
    }
  }

  /** One message from the peer. */
  receive(message: Uint8Array): void {
    const sequence = readFramesSequence(message);
    if (sequence < 0) {
      this.malformed++;
      return;
    }
    if (!this.#receiver.accept(sequence)) {
      this.#events.violation('the peer sent more frames than it was granted');
      return;
    }
    const frames = forEachFrame(message, this.#onFrame);
    if (frames < 0) this.malformed++;
    if (this.#receiver.reportDue) this.#events.sendCredit(this.#receiver.report());
  }

  /** The peer's grant and its count of what arrived. */
  credit(report: CreditReport): void {
    this.#sender.credit(report);
    this.#aggregate = nextAggregate(this.#aggregate, this.#sender.lossPerMille);
    this.flush();
  }

  /** The peer says how many messages it has sent. */
  peerSent(count: number): void {
    if (!this.#receiver.peerSent(count)) {
      this.#events.violation('the peer claims more frames than it was granted');
      return;
    }
    if (this.#receiver.hasNews) this.#events.sendCredit(this.#receiver.report());
  }

  get sent(): number {
    return this.#sender.sent;
  }

  get lossPerMille(): number {
    return this.#sender.lossPerMille;
  }

  /** Frames dropped because the queue was full. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  readonly #onFrame = (data: Uint8Array, offset: number, length: number): void => {
    this.rxFrames++;
    this.rxBytes += length;
    this.#events.frame(data, offset, length);
  };
}
