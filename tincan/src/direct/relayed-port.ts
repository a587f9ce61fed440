import { CHANNEL_DATA_HEADER_BYTES } from '@kith/protocol';
import type { Endpoint } from '../endpoint.ts';
import type { Address, DirectKeys, DirectLinkStats, DirectPort } from './direct-port.ts';
import type { Relays } from './relays.ts';

/** The data plane as a link's carrier sees it: addresses by way of a TURN server are like any other. */
export class RelayedPort {
  readonly #port: DirectPort;
  readonly #relays: Relays;

  constructor(port: DirectPort, relays: Relays) {
    this.#port = port;
    this.#relays = relays;
  }

  addReceiver(index: number, link: number, keys: DirectKeys): void {
    this.#port.addReceiver(index, link, keys);
  }

  removeReceiver(index: number): void {
    this.#port.removeReceiver(index);
  }

  setSender(link: number, peerIndex: number, keys: DirectKeys): void {
    this.#port.setSender(link, peerIndex, keys);
  }

  removeLink(link: number): void {
    this.#port.removeLink(link);
  }

  /** `datagramBytes` is the longest datagram of ours. Null: the data channel carries, as it does while a server has no channel. */
  setPath(link: number, path: (Address & { datagramBytes: number }) | null): void {
    if (path?.via === undefined) {
      this.#port.setPath(link, path && { ip: path.ip, port: path.port, datagramBytes: path.datagramBytes });
      return;
    }
    const channel = this.#relays.channel(path, path.via);
    const datagramBytes = path.datagramBytes + CHANNEL_DATA_HEADER_BYTES;
    const { ip, port } = path.via;
    this.#port.setPath(link, channel === undefined ? null : { ip, port, datagramBytes, channel });
  }

  /** False when it did not leave. */
  sendControl(to: Address, data: Uint8Array): boolean {
    if (to.via === undefined) return this.#port.sendControl(to.ip, to.port, data);
    return this.#relays.send(to, to.via, data);
  }

  /** Sees whether the servers still know us. */
  checkRelays(): void {
    this.#relays.check();
  }

  linkStats(link: number): Omit<DirectLinkStats, 'source'> & { source: Address | null } {
    const stats = this.#port.linkStats(link);
    const { source } = stats;
    return { ...stats, source: source === null ? null : this.#sourceOf(source) };
  }

  #sourceOf({ ip, port, channel }: Endpoint & { channel?: number }): Address | null {
    if (channel === undefined || channel === 0) return { ip, port };
    const via = this.#relays.named({ ip, port });
    const peer = this.#relays.peerOf(channel, via);
    return peer === undefined ? null : { ...peer, via };
  }
}
