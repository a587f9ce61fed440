import { PeerError, SystemError } from '@kith/base';
import {
  type ApiPacket,
  assertIccFrame,
  type IccType,
  RESERVED_MESSAGES,
  type RelayMessage,
  type Uid,
} from '@kith/protocol';
import { ControlRate } from './control-rate.ts';

/**
 * Messages per second of all links to this node's controller, and from it. Controllers that talk over links say some per second;
 * a tenth of what floods a control channel leaves that to pings and credit.
 */
const MAX_PER_SECOND = 200;

/** The part of a link that the relay needs. */
export interface RelayLink {
  readonly uid: Uid;
  readonly relays: boolean;
  relay(message: RelayMessage): boolean;
}

export interface RelayReceiver {
  message(from: Uid, name: string, data: string): void;
  /** `packet.source` is who really sent it. */
  icc(type: IccType, packet: ApiPacket & { source: Uid }): void;
}

/** What controllers say to each other over the links of their nodes: bounded either way, and signed by who DTLS proved to be there. */
export class Relay {
  readonly #me: Uid;
  readonly #link: (uid: Uid) => RelayLink | undefined;
  readonly #receiver: RelayReceiver;
  readonly #sendRate = new ControlRate(MAX_PER_SECOND);
  readonly #receiveRates = new Map<Uid, ControlRate>();
  readonly counters = {
    relay_sent: 0,
    relay_received: 0,
    dropped_relay_limited: 0,
    dropped_relay_malformed: 0,
  };

  constructor(me: Uid, link: (uid: Uid) => RelayLink | undefined, receiver: RelayReceiver) {
    this.#me = me;
    this.#link = link;
    this.#receiver = receiver;
  }

  /**
   * Sends `data` under a name to the controller of a node; `now` in ms.
   * @throws PeerError NOT_LINKED, PEER_LACKS_RELAY or API_FIELD, SystemError RELAY_BUSY.
   */
  sendMessage(to: Uid, name: string, data: string, now: number): void {
    if (RESERVED_MESSAGES.has(name)) {
      throw new PeerError('API_FIELD', `m: ${name} is what tincan itself says`, { field: 'm' });
    }
    this.#send(to, { t: 'message', m: name, data }, 'uid', now);
  }

  /** As sendMessage, a datagram of type 3 or 4 as readIcc gives it. */
  sendIcc(type: IccType, packet: ApiPacket & { destination: Uid }, now: number): void {
    if (packet.source !== null && packet.source !== this.#me) {
      throw new PeerError('API_PACKET', 'source: must be the UID of this node', { field: 'source' });
    }
    const frame = Buffer.from(packet.frame).toString('base64');
    this.#send(packet.destination, { t: 'icc', type, frame }, 'destination', now);
  }

  /** A message that came over a link. What is wrong with it is counted. */
  receive(from: Uid, message: RelayMessage, now: number): void {
    const rate = this.#receiveRates.get(from) ?? new ControlRate(MAX_PER_SECOND);
    this.#receiveRates.set(from, rate);
    if (rate.isFlood(now)) {
      this.counters.dropped_relay_limited++;
      return;
    }
    if (message.t === 'message') {
      if (RESERVED_MESSAGES.has(message.m)) this.counters.dropped_relay_malformed++;
      else {
        this.counters.relay_received++;
        this.#receiver.message(from, message.m, message.data);
      }
      return;
    }
    const frame = Buffer.from(message.frame, 'base64');
    try {
      assertIccFrame(message.type, frame);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.counters.dropped_relay_malformed++;
      return;
    }
    this.counters.relay_received++;
    this.#receiver.icc(message.type, { source: from, destination: this.#me, frame });
  }

  /** A link is over; so is what was counted of it. */
  forget(uid: Uid): void {
    this.#receiveRates.delete(uid);
  }

  #send(to: Uid, message: RelayMessage, field: string, now: number): void {
    const link = this.#link(to);
    if (link === undefined) {
      throw new PeerError('NOT_LINKED', `${field}: there is no link online to this node`, { field });
    }
    if (!link.relays) {
      throw new PeerError('PEER_LACKS_RELAY', `${field}: this node passes no messages on`, { field });
    }
    if (this.#sendRate.isFlood(now) || !link.relay(message)) {
      throw new SystemError('RELAY_BUSY', 'more messages than the links to other nodes take; try again');
    }
    this.counters.relay_sent++;
  }
}
