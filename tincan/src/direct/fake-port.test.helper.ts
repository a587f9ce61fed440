import type { Endpoint as Address } from '../endpoint.ts';
import type { DirectKeys, DirectLinkStats, DirectPort } from './direct-port.ts';

/** A wire between fake ports: which datagrams pass, and how long they take. */
export interface FakeWire {
  /** ms, one way */
  delay: number;
  passes(from: Address, to: Address, bytes: number): boolean;
}

interface Link {
  sender: { index: number; keys: string } | undefined;
  path: (Address & { datagramBytes: number }) | null;
  stats: DirectLinkStats;
}

function keyText(keys: DirectKeys): string {
  return keys.mode === 'plain'
    ? `plain ${Buffer.from(keys.tag).toString('hex')}`
    : `${keys.cipher} ${Buffer.from(keys.key).toString('hex')} ${Buffer.from(keys.fixedIv).toString('hex')}`;
}

/** What the workers do, without threads and sockets: timers stand for the network. */
export class FakePort implements DirectPort {
  readonly family = 'dual';
  readonly #wire: FakeWire;
  readonly #others: FakePort[];
  readonly receivers = new Map<number, { link: number; keys: string }>();
  readonly links = new Map<number, Link>();
  /** Where the socket is reached; the first is the source of what it sends. */
  address: Address;
  /** Data datagrams that came and could not be opened. */
  unopened = 0;
  /** Data datagrams that came and could. */
  opened = 0;
  sentControl: Uint8Array[] = [];
  /** TURN servers from which ChannelData would be taken. */
  readonly relays = new Set<string>();
  /** The last key material given, to see whether it is wiped. */
  lastKeys: DirectKeys | undefined;
  #control: (data: Uint8Array, from: Address) => void = () => {};
  pathError: (link: number, errnoName: string) => void = () => {};

  constructor(address: Address, wire: FakeWire, others: FakePort[]) {
    this.address = address;
    this.#wire = wire;
    this.#others = others;
    others.push(this);
  }

  get port(): number {
    return this.address.port;
  }

  addReceiver(index: number, link: number, keys: DirectKeys): void {
    this.lastKeys = keys;
    this.receivers.set(index, { link, keys: keyText(keys) });
  }

  removeReceiver(index: number): void {
    if (!this.receivers.delete(index)) throw new Error(`receiver ${index} is not there`);
  }

  setSender(link: number, peerIndex: number, keys: DirectKeys): void {
    this.lastKeys = keys;
    const state = this.#link(link);
    state.sender = { index: peerIndex, keys: keyText(keys) };
    state.stats = { ...state.stats, sentSinceRekey: 0 };
  }

  setPath(link: number, path: (Address & { datagramBytes: number }) | null): void {
    this.#link(link).path = path;
  }

  addRelay(server: Address): void {
    this.relays.add(`${server.ip}:${server.port}`);
  }

  removeRelay(server: Address): void {
    this.relays.delete(`${server.ip}:${server.port}`);
  }

  removeLink(link: number): void {
    this.links.delete(link);
  }

  sendControl(ip: string, port: number, data: Uint8Array): boolean {
    this.sentControl.push(data);
    const copy = Uint8Array.from(data);
    this.#transmit({ ip, port }, data.length, (other, from) => other.#control(copy, from));
    return true;
  }

  onControl(handler: (data: Uint8Array, from: Address) => void): void {
    this.#control = handler;
  }

  /** A datagram from nowhere. */
  inject(data: Uint8Array, from: Address): void {
    this.#control(data, from);
  }

  whenUsed(): void {}

  onPathError(handler: (link: number, errnoName: string) => void): void {
    this.pathError = handler;
  }

  linkStats(link: number): DirectLinkStats {
    return this.#link(link).stats;
  }

  /** What the egress worker does with a frame of a link. False when the channel has to carry it. */
  sendData(link: number, isToAll = false): boolean {
    const state = this.#link(link);
    const { sender, path } = state;
    if (sender === undefined || path === null) return false;
    const { txDatagrams, used } = state.stats;
    state.stats = { ...state.stats, txDatagrams: txDatagrams + 1, used: used + (isToAll ? 0 : 1) };
    this.#transmit(path, path.datagramBytes, (other, from) => other.#receiveData(sender, from, isToAll));
    return true;
  }

  #receiveData(sender: { index: number; keys: string }, from: Address, isToAll: boolean): void {
    const receiver = this.receivers.get(sender.index);
    if (receiver?.keys !== sender.keys) {
      this.unopened++;
      return;
    }
    this.opened++;
    const link = this.#link(receiver.link);
    const { rxDatagrams, used } = link.stats;
    link.stats = {
      ...link.stats,
      source: from,
      lastReceivedMs: performance.now(),
      rxDatagrams: rxDatagrams + 1,
      used: used + (isToAll ? 0 : 1),
    };
  }

  #transmit(to: Address, bytes: number, arrive: (other: FakePort, from: Address) => void): void {
    const from = this.address;
    if (!this.#wire.passes(from, to, bytes)) return;
    setTimeout(() => {
      const other = this.#others.find(({ address }) => address.ip === to.ip && address.port === to.port);
      if (other !== undefined) arrive(other, from);
    }, this.#wire.delay);
  }

  #link(link: number): Link {
    const known = this.links.get(link);
    if (known !== undefined) return known;
    const stats: DirectLinkStats = {
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
    const made: Link = { sender: undefined, path: null, stats };
    this.links.set(link, made);
    return made;
  }
}
