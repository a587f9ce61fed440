import type { RemoteInfo } from 'node:dgram';
import { ApiSockets, KithError, type Logger } from '@kith/base';
import {
  API_IS_REPLY,
  API_TYPE_CONTROL,
  API_TYPE_ICC_CONTROL,
  API_TYPE_ICC_PACKET,
  API_TYPE_PACKET,
  type ApiAuth,
  type ApiCall,
  ApiCallError,
  ApiForms,
  type ApiReply,
  ENVELOPE_VERSION,
  type Endpoint,
  encodeReply,
  errorReply,
  type IccType,
  MAX_API_PAYLOAD,
  methodOf,
  parseApiCall,
} from '@kith/protocol';

/** What the server hands on. What a handler throws becomes the caller's error reply. */
export interface ApiHandlers {
  /** Does what a call asks; the replies go to the caller in order. */
  call(call: ApiCall, caller: Endpoint): Promise<ApiReply[]>;
  /** A frame for the TAP device. The payload is valid only during the call. */
  packet(payload: Uint8Array, caller: Endpoint): void;
  /** A message for the controller of another node. The payload is valid only during the call. */
  icc(type: IccType, payload: Uint8Array, caller: Endpoint): void;
}

export interface ApiOptions {
  port: number;
  secret: Uint8Array;
  auth: ApiAuth;
  log: Logger;
}

/** Calls that wait for their turn; more are answered with an error at once. */
const MAX_WAITING_CALLS = 1_024;

/**
 * The JSON/UDP API on loopback. Every datagram must prove the secret, unless the owner opened the API to all; what does not is counted
 * and never answered, so that it cannot be used to find out anything. Calls are done one after the other, in the order of arrival.
 */
export class ApiServer {
  readonly #sockets: ApiSockets;
  readonly #forms: ApiForms;
  readonly #handlers: ApiHandlers;
  readonly #log: Logger;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  readonly counters = {
    api_calls: 0,
    api_packets: 0,
    api_errors: 0,
    api_dropped_unproved: 0,
    api_dropped_replayed: 0,
    api_dropped_busy: 0,
    api_dropped_oversize: 0,
    /** What tincans say, come back as a call. */
    api_dropped_replies: 0,
  };

  private constructor(sockets: ApiSockets, options: ApiOptions, handlers: ApiHandlers) {
    this.#sockets = sockets;
    this.#forms = new ApiForms(options.secret, options.auth, process.hrtime.bigint());
    this.#handlers = handlers;
    this.#log = options.log;
    sockets.onMessage((datagram, from) => this.#receive(datagram, from), options.log);
  }

  /**
   * Listens on 127.0.0.1 and [::1]; on a machine without IPv6 on the first alone.
   * @throws SystemError API_PORT when the port cannot be had.
   */
  static async listen(options: ApiOptions, handlers: ApiHandlers): Promise<ApiServer> {
    return new ApiServer(await ApiSockets.bind(options.port, options.log), options, handlers);
  }

  /** The UDP port that it listens on. */
  get port(): number {
    return this.#sockets.port;
  }

  /** Whether notifications can be sent there. */
  reaches(address: string): boolean {
    return this.#sockets.reaches(address);
  }

  /** Sends a notification. */
  notify(to: Endpoint, message: ApiReply): void {
    const payload = encodeReply(to.form, message);
    if (payload.length > MAX_API_PAYLOAD) {
      this.counters.api_dropped_oversize++;
      this.#log.error({ type: message.type }, 'an API message exceeds a datagram and was dropped');
      return;
    }
    this.send(to, API_TYPE_CONTROL, payload);
  }

  /** Sends a datagram of any type. */
  send(to: Endpoint, type: number, payload: Uint8Array): void {
    const datagram = this.#forms.write(to.form, type, payload, process.hrtime.bigint());
    this.#sockets.send(datagram, to.port, to.address);
  }

  close(): Promise<void> {
    return this.#sockets.close();
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    const read = this.#forms.read(datagram, process.hrtime.bigint());
    if (!read.ok) {
      if (read.why === 'replayed' || read.why === 'stale') this.counters.api_dropped_replayed++;
      else if (read.why === 'busy') this.counters.api_dropped_busy++;
      else this.counters.api_dropped_unproved++;
      return;
    }
    const caller: Endpoint = { address: from.address, port: from.port, form: read.form };
    if (read.type === API_TYPE_CONTROL) this.#queue(read.payload, caller);
    else this.#takePacket(read.type, read.payload, caller);
  }

  #queue(payload: Uint8Array, caller: Endpoint): void {
    if (this.#waiting >= MAX_WAITING_CALLS) {
      this.#refuseBusy(payload, caller);
      return;
    }
    this.#waiting++;
    // The payload is a view of a buffer that is this datagram's own, so it may wait.
    this.#turn = this.#turn.then(() => this.#answer(payload, caller)).finally(() => this.#waiting--);
  }

  /** Datagrams that are no calls take no turn: they change nothing that a call could see. */
  #takePacket(type: number, payload: Uint8Array, caller: Endpoint): void {
    this.counters.api_packets++;
    try {
      if (type === API_TYPE_PACKET) this.#handlers.packet(payload, caller);
      else if (type === API_TYPE_ICC_CONTROL || type === API_TYPE_ICC_PACKET)
        this.#handlers.icc(type, payload, caller);
      else throw new ApiCallError('API_TYPE', `type ${type} is not served; calls have type 1`, {});
    } catch (error) {
      this.#sendError(caller, error);
    }
  }

  async #answer(payload: Uint8Array, caller: Endpoint): Promise<void> {
    this.counters.api_calls++;
    let call: ApiCall | undefined;
    try {
      call = parseApiCall(payload);
      for (const reply of await this.#handlers.call(call, caller)) this.notify(caller, reply);
    } catch (error) {
      this.#sendError(caller, error, call);
    }
  }

  /** The error must name the call's id, which stands inside it. */
  #refuseBusy(payload: Uint8Array, caller: Endpoint): void {
    try {
      const call = parseApiCall(payload);
      const { id } = call;
      this.#sendError(
        caller,
        new ApiCallError('API_BUSY', 'too many calls are waiting', { id, method: methodOf(call) }),
      );
    } catch (error) {
      this.#sendError(caller, error);
    }
  }

  #sendError(caller: Endpoint, error: unknown, call?: ApiCall): void {
    const isReply = error instanceof ApiCallError && error.code === API_IS_REPLY;
    if (isReply && caller.form !== ENVELOPE_VERSION) {
      this.counters.api_dropped_replies++;
      return;
    }
    this.counters.api_errors++;
    const at = call === undefined ? {} : { id: call.id, m: methodOf(call) };
    if (!(error instanceof KithError)) this.#log.error({ err: error }, `bug in API call ${at.m ?? ''}`);
    this.notify(caller, errorReply(error, at));
  }
}
