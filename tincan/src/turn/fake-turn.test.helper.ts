import { createHmac } from 'node:crypto';
import { decodeChannelData, encodeChannelData, isChannelData, turnKey } from '@kith/protocol';
import { type Endpoint, endpointText } from '../endpoint.ts';

const REALM = 'vpn.test';
const METHODS = { allocate: 3, refresh: 4, channelBind: 9 };

interface Allocation {
  client: Endpoint;
  relayed: Endpoint;
  /** Peers by channel, and addresses that may send. */
  channels: Map<number, Endpoint>;
  permitted: Set<string>;
}

/** A TURN server without sockets: enough of RFC 8656 to be hard on its client. IPv4 only. */
export class FakeTurn {
  readonly address: Endpoint;
  readonly allocations = new Map<string, Allocation>();
  readonly #send: (from: Endpoint, to: Endpoint, data: Uint8Array) => void;
  password = 'secret';
  nonce = 'first';
  /** Answers every Allocate with this error; 0: none. */
  refuses = 0;
  /** Peers that it will not have. */
  readonly denied = new Set<string>();
  requests = 0;
  #nextPort = 61_000;

  constructor(address: Endpoint, send: (from: Endpoint, to: Endpoint, data: Uint8Array) => void) {
    this.address = address;
    this.#send = send;
  }

  /** A datagram to one of its addresses. */
  receive(to: Endpoint, from: Endpoint, data: Uint8Array): void {
    if (endpointText(to) !== endpointText(this.address)) {
      this.#receiveRelayed(to, from, data);
    } else if (isChannelData(data)) {
      const message = decodeChannelData(data);
      const allocation = this.allocations.get(endpointText(from));
      const peer = message && allocation?.channels.get(message.channel);
      if (message && allocation && peer) this.#send(allocation.relayed, peer, Uint8Array.from(message.data));
    } else {
      this.#request(Buffer.from(data), from);
    }
  }

  owns({ ip }: Endpoint): boolean {
    return ip === this.address.ip;
  }

  #receiveRelayed(to: Endpoint, from: Endpoint, data: Uint8Array): void {
    for (const { client, relayed, channels, permitted } of this.allocations.values()) {
      if (relayed.port !== to.port || !permitted.has(from.ip)) continue;
      for (const [channel, peer] of channels) {
        if (endpointText(peer) !== endpointText(from)) continue;
        this.#send(this.address, client, encodeChannelData(channel, data));
        return;
      }
      const indication = this.#message(0x17, Buffer.alloc(12, 1), [
        [0x12, xored(from)],
        [0x13, Buffer.from(data)],
      ]);
      this.#send(this.address, client, indication);
    }
  }

  #request(message: Buffer, from: Endpoint): void {
    this.requests++;
    const method = message.readUInt16BE(0);
    const transaction = message.subarray(8, 20);
    const values = new Map<number, Buffer>();
    let integrityAt = 0;
    for (let at = 20; at < message.length; ) {
      const length = message.readUInt16BE(at + 2);
      if (message.readUInt16BE(at) === 8) integrityAt = at;
      values.set(message.readUInt16BE(at), message.subarray(at + 4, at + 4 + length));
      at += 4 + ((length + 3) & ~3);
    }
    const key = turnKey('user', REALM, this.password);
    const answer = (attributes: [number, Buffer][]): void =>
      this.#send(this.address, from, this.#message(method | 0x100, transaction, attributes, key));
    const error = (code: number): void => {
      const challenge: [number, Buffer][] = [
        [0x14, Buffer.from(REALM)],
        [0x15, Buffer.from(this.nonce)],
      ];
      const attributes: [number, Buffer][] = [[9, Buffer.from([0, 0, Math.floor(code / 100), code % 100])]];
      const all = code === 401 || code === 438 ? [...attributes, ...challenge] : attributes;
      this.#send(this.address, from, this.#message(method | 0x110, transaction, all));
    };
    if (integrityAt === 0) {
      error(401);
      return;
    }
    const proof = createHmac('sha1', key).update(message.subarray(0, integrityAt)).digest();
    if (!proof.equals(message.subarray(integrityAt + 4))) {
      error(401);
      return;
    }
    if (values.get(0x15)?.toString() !== this.nonce) {
      error(438);
      return;
    }
    const known = this.allocations.get(endpointText(from));
    if (method === METHODS.allocate) {
      if (this.refuses > 0) {
        error(this.refuses);
        return;
      }
      if (known !== undefined) {
        error(437);
        return;
      }
      const relayed = { ip: this.address.ip, port: this.#nextPort++ };
      this.allocations.set(endpointText(from), {
        client: from,
        relayed,
        channels: new Map(),
        permitted: new Set(),
      });
      answer([
        [0x16, xored(relayed)],
        [0x0d, word(600)],
      ]);
      return;
    }
    if (known === undefined) {
      error(437);
      return;
    }
    if (method === METHODS.refresh) {
      const lifetime = values.get(0x0d)?.readUInt32BE(0) ?? 600;
      if (lifetime === 0) this.allocations.delete(endpointText(from));
      answer([[0x0d, word(lifetime)]]);
      return;
    }
    const channel = values.get(0x0c)?.readUInt16BE(0) ?? 0;
    const peer = unxored(values.get(0x12) ?? Buffer.alloc(8));
    if (this.denied.has(peer.ip)) {
      error(403);
      return;
    }
    const before = known.channels.get(channel);
    if (before !== undefined && endpointText(before) !== endpointText(peer)) {
      error(400);
      return;
    }
    known.channels.set(channel, peer);
    known.permitted.add(peer.ip);
    answer([]);
  }

  #message(type: number, transaction: Uint8Array, attributes: [number, Buffer][], key?: Uint8Array): Buffer {
    const parts = attributes.map(([kind, value]) => {
      const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
      bytes.writeUInt16BE(kind);
      bytes.writeUInt16BE(value.length, 2);
      value.copy(bytes, 4);
      return bytes;
    });
    const header = Buffer.alloc(20);
    header.writeUInt16BE(type);
    header.writeUInt32BE(0x2112_a442, 4);
    header.set(transaction, 8);
    const body = Buffer.concat(parts);
    header.writeUInt16BE(body.length + (key === undefined ? 0 : 24), 2);
    const message = Buffer.concat([header, body]);
    if (key === undefined) return message;
    return Buffer.concat([
      message,
      Buffer.from([0, 8, 0, 20]),
      createHmac('sha1', key).update(message).digest(),
    ]);
  }
}

const COOKIE = [0x21, 0x12, 0xa4, 0x42];

function xored({ ip, port }: Endpoint): Buffer {
  const bytes = ip.split('.').map((part, index) => Number(part) ^ (COOKIE[index] ?? 0));
  return Buffer.from([0, 1, (port >> 8) ^ 0x21, (port & 0xff) ^ 0x12, ...bytes]);
}

function unxored(value: Buffer): Endpoint {
  const ip = [...value.subarray(4, 8)].map((byte, index) => byte ^ (COOKIE[index] ?? 0)).join('.');
  return { ip, port: value.readUInt16BE(2) ^ 0x2112 };
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
