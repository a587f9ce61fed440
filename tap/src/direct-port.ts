import { monotonicMs, SystemError } from '@kith/base';
import {
  Aead,
  addressOf,
  DatagramSender,
  decodeSockaddr,
  encodeSockaddr,
  errnoName,
  SOCKADDR_BYTES,
  type SocketFamily,
  stableBytes,
  type UdpSocket,
} from '@kith/posix';
import type { RingConsumer } from '@kith/ring';
import { MIN_CHUNK_BYTES } from './chunk.ts';
import { threadClock } from './clock.ts';
import type { Counters, MainCounter } from './counters.ts';
import { DATAGRAM_OVERHEAD, MAX_UDP_PAYLOAD } from './datagram.ts';
import {
  encodeIndex,
  encodeKeyed,
  encodeLink,
  encodePath,
  TAG_ADD_RECEIVER,
  TAG_ADD_RELAY,
  TAG_CLEAR_PATH,
  TAG_REMOVE_LINK,
  TAG_REMOVE_RECEIVER,
  TAG_REMOVE_RELAY,
  TAG_SET_PATH,
  TAG_SET_SENDER,
} from './direct-commands.ts';
import type { DirectKeys } from './direct-keys.ts';
import {
  DIRECT_LINKS,
  type DirectStats,
  FORGED,
  LAST_RECEIVED_MS,
  REPLAYED,
  RX_BYTES,
  RX_DATAGRAMS,
  RX_UNICAST,
  SENT_SINCE_REKEY,
  TX_BYTES,
  TX_DATAGRAMS,
  TX_UNICAST,
} from './direct-stats.ts';
import type { Downlink } from './downlink.ts';
import { UplinkDrain } from './uplink-drain.ts';

/** A UDP endpoint; `ip` in its canonical text form. */
export interface DirectAddress {
  readonly ip: string;
  readonly port: number;
}

/** Where a link's datagrams go; `datagramBytes` is the whole UDP payload. */
export interface DirectPath extends DirectAddress {
  readonly datagramBytes: number;
  /** The address is a TURN server's, which passes on what comes in this channel; `datagramBytes` counts ChannelData's header. */
  readonly channel?: number;
}

/** What the workers counted of one link since it got its first key. */
export interface DirectLinkStats {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxDatagrams: number;
  readonly txDatagrams: number;
  /** monotonicMs clock of the main thread; 0: never. */
  readonly lastReceivedMs: number;
  readonly forged: number;
  readonly replayed: number;
  /** Where the last genuine datagram came from; with a channel: of the TURN server at that address. */
  readonly source: (DirectAddress & { readonly channel?: number }) | null;
  /** Datagrams sent with the current key. */
  readonly sentSinceRekey: number;
  /** Grows with every frame to one station, in either direction. */
  readonly used: number;
}

/** A datagram that is not data: a probe or STUN, whoever sent it. The bytes are valid only during the call. */
export type ControlHandler = (data: Uint8Array, from: DirectAddress) => void;
export type PathErrorHandler = (link: number, errnoName: string) => void;

const NOTHING: DirectLinkStats = {
  rxBytes: 0,
  txBytes: 0,
  rxDatagrams: 0,
  txDatagrams: 0,
  lastReceivedMs: 0,
  forged: 0,
  replayed: 0,
  source: null,
  sentSinceRekey: 0,
  used: 0,
};

/** Longest datagram that sendControl takes: a probe of a jumbo frame's size. */
const MAX_CONTROL_BYTES = 9216;

/** What DirectPort works through; the Tap that owns it makes and closes all of it. */
export interface DirectParts {
  readonly socket: UdpSocket;
  readonly toEgress: Downlink;
  readonly toIngress: Downlink;
  readonly control: RingConsumer;
  readonly stats: DirectStats;
  readonly counters: Counters<MainCounter>;
  readonly onFailure: (cause: unknown) => void;
}

/**
 * The main thread's door to the direct carrier: one UDP socket for all links, whose data the workers send and receive. What is set
 * here travels to them by command rings and takes effect in order; a method that returns says nothing about when.
 */
export class DirectPort {
  readonly port: number;
  readonly family: SocketFamily;
  readonly #parts: DirectParts;
  readonly #sender: DatagramSender;
  readonly #sockaddr = stableBytes(SOCKADDR_BYTES);
  readonly #sockaddrAddress = addressOf(this.#sockaddr);
  readonly #buffer = stableBytes(MAX_CONTROL_BYTES);
  readonly #bufferAddress = addressOf(this.#buffer);
  readonly #ciphers = Aead.available();
  /** monotonicMs() of this thread at the zero of threadClock. */
  readonly #clockOrigin = threadClock()() - monotonicMs();
  /** Statistics slots of links. */
  readonly #slots = new Map<number, number>();
  /** Oldest first, so that the workers are long done with the link that had a slot before. */
  readonly #freeSlots = Array.from({ length: DIRECT_LINKS }, (_, slot) => slot);
  readonly #paths = new Set<number>();
  readonly #keyed = new Set<number>();
  #drain: UplinkDrain | undefined;
  #useHandler: (() => void) | undefined;
  #awaitsUse = false;
  #controlHandler: ControlHandler | undefined;
  #pathErrorHandler: PathErrorHandler | undefined;

  constructor(parts: DirectParts) {
    this.#parts = parts;
    this.port = parts.socket.port;
    this.family = parts.socket.family;
    this.#sender = new DatagramSender(parts.socket.fd, 1);
  }

  /**
   * From now on datagrams with this index (an unsigned 32-bit number, unique among all links) are received for a link.
   * Throws SystemError DIRECT_FULL when too many links have a direct carrier, DIRECT_CIPHER when OpenSSL lacks the cipher; BugError
   * for keys of a wrong length.
   */
  addReceiver(index: number, link: number, keys: DirectKeys): void {
    this.#assertCipher(keys);
    const command = encodeKeyed({ link, slot: this.#slotOf(link), index: index | 0, keys });
    this.#parts.toIngress.command(TAG_ADD_RECEIVER, command);
  }

  /** Its key is wiped, and datagrams with it are dropped. */
  removeReceiver(index: number): void {
    this.#parts.toIngress.command(TAG_REMOVE_RECEIVER, encodeIndex(index | 0));
  }

  /** Keys for the next datagrams to a link, which name `peerIndex`; the counter starts anew. Throws as addReceiver does. */
  setSender(link: number, peerIndex: number, keys: DirectKeys): void {
    this.#assertCipher(keys);
    const command = encodeKeyed({ link, slot: this.#slotOf(link), index: peerIndex | 0, keys });
    this.#parts.toEgress.command(TAG_SET_SENDER, command);
    this.#keyed.add(link);
  }

  /**
   * Frames of a link go this way as soon as it has keys; null: they go to the uplink handler. Throws ConfigError or SystemError for an
   * address that this socket cannot reach, RangeError for a datagram size that cannot be.
   */
  setPath(link: number, path: DirectPath | null): void {
    if (path === null) {
      this.#paths.delete(link);
      this.#parts.toEgress.command(TAG_CLEAR_PATH, encodeLink(link));
      return;
    }
    const { datagramBytes } = path;
    const least = MIN_CHUNK_BYTES + DATAGRAM_OVERHEAD;
    if (!Number.isInteger(datagramBytes) || datagramBytes < least || datagramBytes > MAX_UDP_PAYLOAD) {
      throw new RangeError(`datagrams must have ${least} to ${MAX_UDP_PAYLOAD} bytes, not ${datagramBytes}`);
    }
    const sockaddr = new Uint8Array(SOCKADDR_BYTES);
    const sockaddrLength = encodeSockaddr(this.family, path.ip, path.port, sockaddr);
    this.#paths.add(link);
    const command = encodePath({ link, datagramBytes, channel: path.channel ?? 0, sockaddr, sockaddrLength });
    this.#parts.toEgress.command(TAG_SET_PATH, command);
  }

  /** ChannelData of this TURN server is taken from now on: at most 8 servers. Throws as setPath does for an address. */
  addRelay(server: DirectAddress): void {
    this.#parts.toIngress.command(TAG_ADD_RELAY, this.#sockaddrOf(server));
  }

  removeRelay(server: DirectAddress): void {
    this.#parts.toIngress.command(TAG_REMOVE_RELAY, this.#sockaddrOf(server));
  }

  /**
   * Whether a link has keys and a path. Frames that come to the uplink handler as LINK_ALL have been sent on such links already.
   */
  carries(link: number): boolean {
    return this.#paths.has(link) && this.#keyed.has(link);
  }

  /** Forgets keys, path and statistics of a link; a link that never had any is no fault. */
  removeLink(link: number): void {
    this.#paths.delete(link);
    this.#keyed.delete(link);
    const slot = this.#slots.get(link);
    if (slot === undefined) return;
    this.#slots.delete(link);
    this.#freeSlots.push(slot);
    this.#parts.toEgress.command(TAG_REMOVE_LINK, encodeLink(link));
    this.#parts.toIngress.command(TAG_REMOVE_LINK, encodeLink(link));
  }

  /** Sends a datagram that is not data at once: a probe or STUN. False when it did not leave, which is counted. */
  sendControl(ip: string, port: number, data: Uint8Array): boolean {
    if (data.length > MAX_CONTROL_BYTES) {
      throw new RangeError(`a control datagram of ${data.length} bytes: at most ${MAX_CONTROL_BYTES}`);
    }
    const length = encodeSockaddr(this.family, ip, port, this.#sockaddr);
    this.#buffer.set(data);
    const result = this.#sender.send(this.#sockaddrAddress, length, this.#bufferAddress, data.length, 0);
    if (result >= 0) return true;
    this.#parts.counters.add('dropped_control_send');
    return false;
  }

  /** The one handler of datagrams that are not data; it must not throw. */
  onControl(handler: ControlHandler): void {
    this.#controlHandler = handler;
    this.#drain ??= new UplinkDrain(this.#parts.control, this.#onControl, this.#parts.onFailure);
  }

  /** The one handler of failed sends, told at most ten times a second. */
  onPathError(handler: PathErrorHandler): void {
    this.#pathErrorHandler = handler;
  }

  linkStats(link: number): DirectLinkStats {
    const slot = this.#slots.get(link);
    if (slot === undefined) return NOTHING;
    const { stats } = this.#parts;
    const receivedAt = stats.get(slot, LAST_RECEIVED_MS);
    const source = stats.source(slot);
    return {
      rxBytes: stats.get(slot, RX_BYTES),
      txBytes: stats.get(slot, TX_BYTES),
      rxDatagrams: stats.get(slot, RX_DATAGRAMS),
      txDatagrams: stats.get(slot, TX_DATAGRAMS),
      lastReceivedMs: receivedAt === 0 ? 0 : receivedAt - this.#clockOrigin,
      forged: stats.get(slot, FORGED),
      replayed: stats.get(slot, REPLAYED),
      source: source === undefined ? null : { ...decodeSockaddr(source.sockaddr), channel: source.channel },
      sentSinceRekey: stats.get(slot, SENT_SINCE_REKEY),
      used: stats.get(slot, TX_UNICAST) + stats.get(slot, RX_UNICAST),
    };
  }

  /**
   * Calls the handler once, when the next frame to one station goes or comes by any link: who waits for that need not look. Takes the
   * place of an earlier call. The handler must not throw.
   */
  whenUsed(handler: () => void): void {
    this.#useHandler = handler;
    if (this.#awaitsUse) return;
    this.#awaitsUse = true;
    void this.#parts.stats.nextUse().then(() => {
      this.#awaitsUse = false;
      const told = this.#useHandler;
      this.#useHandler = undefined;
      told?.();
    });
  }

  /** From the owner: the egress worker says that a send failed. */
  pathFailed(link: number, errno: number): void {
    this.#pathErrorHandler?.(link, errnoName(errno));
  }

  /** From the owner, before it closes the socket. */
  stop(): void {
    this.#drain?.stop();
    this.#useHandler = undefined;
    this.#parts.stats.endWait();
  }

  readonly #onControl = (_tag: number, data: Uint8Array, offset: number, length: number): void => {
    const from = decodeSockaddr(data.subarray(offset, offset + SOCKADDR_BYTES));
    this.#controlHandler?.(data.subarray(offset + SOCKADDR_BYTES, offset + length), from);
  };

  #sockaddrOf({ ip, port }: DirectAddress): Uint8Array {
    const sockaddr = new Uint8Array(SOCKADDR_BYTES);
    encodeSockaddr(this.family, ip, port, sockaddr);
    return sockaddr;
  }

  #slotOf(link: number): number {
    const known = this.#slots.get(link);
    if (known !== undefined) return known;
    const slot = this.#freeSlots.shift();
    if (slot === undefined) {
      throw new SystemError('DIRECT_FULL', `${DIRECT_LINKS} links have a direct carrier already`);
    }
    this.#slots.set(link, slot);
    return slot;
  }

  #assertCipher(keys: DirectKeys): void {
    if (keys.mode === 'plain') return;
    const has = keys.cipher === 'aes-256-gcm' ? this.#ciphers.aes : this.#ciphers.chacha;
    if (!has) throw new SystemError('DIRECT_CIPHER', `OpenSSL of this node cannot do ${keys.cipher}`);
  }
}
