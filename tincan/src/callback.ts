import { ConfigError } from '@kith/base';
import {
  API_TYPE_PACKET,
  type ApiPacket,
  type ApiReply,
  ENVELOPE_VERSION,
  type Endpoint,
  type IccType,
  type Uid,
  writeApiPacket,
} from '@kith/protocol';

/** What the callback needs of the API server. */
export interface Notifier {
  /** Whether datagrams can go to this address: on loopback, of a family that the machine has. */
  reaches(address: string): boolean;
  notify(to: Endpoint, message: ApiReply): void;
  send(to: Endpoint, type: number, payload: Uint8Array): void;
}

/** Where notifications go: one endpoint, in the form in which it asked for them. Before it is set they are lost. */
export class Callback {
  readonly #notifier: Notifier;
  #endpoint: Endpoint | undefined;
  #takesPackets = false;

  constructor(notifier: Notifier) {
    this.#notifier = notifier;
  }

  /** @throws ConfigError API_FIELD for an address that is not on loopback. */
  set(wanted: { ip: string; port: number; packets?: boolean | undefined }, caller: Endpoint): void {
    // IPOP: "::" means "where this call came from", and a socket of IPv4 alone has 0.0.0.0 for it.
    const address = wanted.ip === '::' || wanted.ip === '0.0.0.0' ? caller.address : wanted.ip;
    // Elsewhere than on loopback nobody may listen to us.
    if (!this.#notifier.reaches(address)) {
      throw new ConfigError('API_FIELD', 'ip: must be a loopback address of this machine', { field: 'ip' });
    }
    this.#endpoint = { address, port: wanted.port, form: caller.form };
    this.#takesPackets = wanted.packets ?? caller.form !== ENVELOPE_VERSION;
  }

  /** Whether frames that no link carries go to the controller. */
  get takesPackets(): boolean {
    return this.#takesPackets;
  }

  notify(message: ApiReply): void {
    const to = this.#endpoint;
    if (to === undefined) return;
    // IPOP's controllers know one con_resp of an attempt, the whole one.
    if (to.form !== ENVELOPE_VERSION && message.type === 'con_resp' && !message.complete) return;
    this.#notifier.notify(to, message);
  }

  /** A frame from the TAP device; `destination` null: nobody knows whose. */
  packet(me: Uid, destination: Uid | null, frame: Uint8Array): void {
    if (this.#endpoint !== undefined) {
      this.#notifier.send(this.#endpoint, API_TYPE_PACKET, writeApiPacket(me, destination, frame));
    }
  }

  /** What another node's controller says. */
  icc(type: IccType, { source, destination, frame }: ApiPacket & { source: Uid }): void {
    if (this.#endpoint !== undefined) {
      this.#notifier.send(this.#endpoint, type, writeApiPacket(source, destination, frame));
    }
  }
}
