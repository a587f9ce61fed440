import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { describeError, KithError, type Logger, SystemError } from '@kith/base';
import {
  API_TYPE_CONTROL,
  type ApiCall,
  ApiCallError,
  ApiEnvelope,
  type ApiReply,
  encodeApiReply,
  MAX_API_PAYLOAD,
  parseApiCall,
} from '@kith/protocol';

export interface Endpoint {
  address: string;
  port: number;
}

/** Does what a call asks; the replies go to the caller in order. What it throws becomes the call's error reply. */
export type CallHandler = (call: ApiCall, caller: Endpoint) => Promise<ApiReply[]>;

/** Calls that wait for their turn; more are answered with an error at once. */
const MAX_WAITING_CALLS = 1_024;

/**
 * The JSON/UDP API on loopback. Every datagram must prove the secret; what does not is counted and never answered, so that it cannot
 * be used to find out anything. Calls are done one after the other, in the order of arrival.
 */
export class ApiServer {
  readonly #socket: Socket;
  readonly #envelope: ApiEnvelope;
  readonly #handle: CallHandler;
  readonly #log: Logger;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #isClosed = false;
  readonly counters = {
    api_calls: 0,
    api_errors: 0,
    api_dropped_unproved: 0,
    api_dropped_replayed: 0,
    api_dropped_busy: 0,
    api_dropped_oversize: 0,
  };

  private constructor(socket: Socket, secret: Uint8Array, handle: CallHandler, log: Logger) {
    this.#socket = socket;
    this.#envelope = new ApiEnvelope(secret, 'reply', process.hrtime.bigint());
    this.#handle = handle;
    this.#log = log;
    socket.on('message', (datagram, from) => this.#receive(datagram, from));
    // ICMP port-unreachable of a client that went away surfaces here on some kernels; the socket stays usable.
    socket.on('error', (error) => log.warn({ err: error }, `API socket: ${error.message}`));
  }

  /**
   * Listens on 127.0.0.1.
   * @throws SystemError API_PORT when the port cannot be had.
   */
  static listen(port: number, secret: Uint8Array, handle: CallHandler, log: Logger): Promise<ApiServer> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', (cause) => {
        reject(
          new SystemError('API_PORT', `cannot listen on 127.0.0.1:${port}`, { field: 'api.port', cause }),
        );
      });
      socket.bind({ address: '127.0.0.1', port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        resolve(new ApiServer(socket, secret, handle, log));
      });
    });
  }

  /** The UDP port that it listens on. */
  get port(): number {
    return this.#socket.address().port;
  }

  /** Sends a notification. */
  notify(to: Endpoint, message: ApiReply): void {
    this.#send(to, message);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    const opened = this.#envelope.open(datagram, process.hrtime.bigint());
    if (!opened.ok) {
      if (opened.why === 'replayed' || opened.why === 'stale') this.counters.api_dropped_replayed++;
      else if (opened.why === 'busy') this.counters.api_dropped_busy++;
      else this.counters.api_dropped_unproved++;
      return;
    }
    const caller: Endpoint = { address: from.address, port: from.port };
    if (opened.type !== API_TYPE_CONTROL) {
      this.#sendError(
        caller,
        new ApiCallError('API_TYPE', `type ${opened.type} is not served; calls have type 1`, {}),
      );
      return;
    }
    if (this.#waiting >= MAX_WAITING_CALLS) {
      this.#refuseBusy(opened.payload, caller);
      return;
    }
    this.#waiting++;
    // The payload is a view of a buffer that is this datagram's own, so it may wait.
    this.#turn = this.#turn.then(() => this.#answer(opened.payload, caller)).finally(() => this.#waiting--);
  }

  async #answer(payload: Uint8Array, caller: Endpoint): Promise<void> {
    this.counters.api_calls++;
    let call: ApiCall | undefined;
    try {
      call = parseApiCall(payload);
      for (const reply of await this.#handle(call, caller)) this.#send(caller, reply);
    } catch (error) {
      this.#sendError(caller, error, call);
    }
  }

  /** The error must name the call's id, which stands inside it. */
  #refuseBusy(payload: Uint8Array, caller: Endpoint): void {
    try {
      const { id, m } = parseApiCall(payload);
      this.#sendError(caller, new ApiCallError('API_BUSY', 'too many calls are waiting', { id, method: m }));
    } catch (error) {
      this.#sendError(caller, error);
    }
  }

  #sendError(caller: Endpoint, error: unknown, call?: ApiCall): void {
    this.counters.api_errors++;
    const at =
      error instanceof ApiCallError ? { id: error.id, m: error.method } : { id: call?.id, m: call?.m };
    if (!(error instanceof KithError)) this.#log.error({ err: error }, `bug in API call ${call?.m ?? ''}`);
    this.#send(caller, {
      type: 'error',
      ...(at.id === undefined ? {} : { id: at.id }),
      ...(at.m === undefined ? {} : { m: at.m }),
      error: error instanceof ApiCallError ? error.message : describeError(error),
      code: error instanceof KithError ? error.code : 'BUG',
      ...(error instanceof KithError && error.field !== undefined ? { field: error.field } : {}),
    });
  }

  #send(to: Endpoint, message: ApiReply): void {
    // A call may still be at work while the server ends; a closed socket would throw, and no later call would get its turn.
    if (this.#isClosed) return;
    const payload = encodeApiReply(message);
    if (payload.length > MAX_API_PAYLOAD) {
      this.counters.api_dropped_oversize++;
      this.#log.error({ type: message.type }, 'an API message exceeds a datagram and was dropped');
      return;
    }
    this.#socket.send(
      this.#envelope.seal(API_TYPE_CONTROL, payload, process.hrtime.bigint()),
      to.port,
      to.address,
    );
  }
}
