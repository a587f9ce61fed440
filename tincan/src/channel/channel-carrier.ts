import {
  FRAME_RECORD_BYTES,
  FRAMES_HEADER_BYTES,
  forEachFrame,
  readFramesSequence,
  writeFramesHeader,
} from '@kith/protocol';
import { Chunker, isGroupChunk } from '@kith/tap';
import { AGGREGATE_MAX_BYTES, nextAggregate } from './aggregation.ts';
import { CreditReceiver, type CreditReport, CreditSender } from './credit.ts';
import { FrameQueue } from './frame-queue.ts';

/**
 * Bytes of frames that may wait for one link. 256 KiB is 10 ms at the 200 Mbit/s that a data channel reaches, and a full window of
 * a TCP connection over 100 ms at 20 Mbit/s: long enough to keep the channel busy, short enough not to add a second of delay.
 */
const QUEUE_BYTES = 262_144;

/** A chunk and its record header fill one message at most. */
const MAX_CHUNK_BYTES = AGGREGATE_MAX_BYTES - FRAME_RECORD_BYTES;

/**
 * Chunks when messages get lost: SCTP packets of libdatachannel carry 1 200 bytes of payload at most, so that a chunk of this size with
 * its record and message headers travels in one, and its loss costs only itself.
 */
const SMALL_CHUNK_BYTES = 1_150;

/** What the carrier needs of the session below it. */
export interface FramesChannel {
  readonly framesBuffered: number;
  sendFrames(message: Uint8Array): boolean;
}

export interface ChannelCarrierEvents {
  /** One chunk from the peer. */
  chunk(data: Uint8Array, offset: number, length: number): void;
  sendCredit(report: CreditReport): void;
  /** The peer broke the rules of the channel. */
  violation(reason: string): void;
}

/** The `channel` carrier of one link: frames, cut into chunks, over an unordered data channel without retransmission. */
export class ChannelCarrier {
  readonly #channel: FramesChannel;
  readonly #events: ChannelCarrierEvents;
  readonly #queue = new FrameQueue(QUEUE_BYTES);
  readonly #sender = new CreditSender();
  readonly #receiver = new CreditReceiver();
  readonly #message = new Uint8Array(FRAMES_HEADER_BYTES + AGGREGATE_MAX_BYTES);
  readonly #chunker = new Chunker();
  readonly #chunk = new Uint8Array(MAX_CHUNK_BYTES);
  #aggregate = AGGREGATE_MAX_BYTES;
  rxBytes = 0;
  txBytes = 0;
  #groupBytes = 0;
  rxChunks = 0;
  malformed = 0;
  /** Frames that were none. */
  unsendable = 0;

  constructor(channel: FramesChannel, events: ChannelCarrierEvents) {
    this.#channel = channel;
    this.#events = events;
  }

  /** Of both directions, without broadcasts and multicasts: they say nothing about whether anybody uses the link. */
  get usedBytes(): number {
    return this.rxBytes + this.txBytes - this.#groupBytes;
  }

  /** Queues what one read of the TAP device gave: virtio header and frame, which may be a super-frame. `flush` sends. */
  enqueue(data: Uint8Array, offset: number, length: number): void {
    if (!this.#chunker.begin(data, offset, length)) {
      this.unsendable++;
      return;
    }
    const most = Math.min(MAX_CHUNK_BYTES, Math.max(SMALL_CHUNK_BYTES, this.#aggregate));
    for (;;) {
      const bytes = this.#chunker.next(this.#chunk, 0, most);
      // Where one chunk finds no room, those behind it would only come out of order.
      if (bytes === 0 || !this.#queue.push(this.#chunk, 0, bytes)) return;
      this.txBytes += bytes;
      if (isGroupChunk(this.#chunk, 0, bytes)) this.#groupBytes += bytes;
    }
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
    if (forEachFrame(message, this.#onChunk) < 0) this.malformed++;
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

  /** Chunks dropped because the queue was full. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  readonly #onChunk = (data: Uint8Array, offset: number, length: number): void => {
    this.rxChunks++;
    this.rxBytes += length;
    if (isGroupChunk(data, offset, length)) this.#groupBytes += length;
    this.#events.chunk(data, offset, length);
  };
}
