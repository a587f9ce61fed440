import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { describeError, SystemError } from './errors.ts';
import type { Logger } from './log.ts';

/** What a kernel without IPv6, or one that has it switched off for loopback, answers to a bind to ::1. */
const NO_IPV6 = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'EINVAL']);

/** Of some 28 000 ephemeral ports a busy machine holds hundreds: five misses in a row do not happen. */
const FREE_PORT_TRIES = 5;

type Receiver = (datagram: Buffer, from: RemoteInfo) => void;

/** The API's sockets: 127.0.0.1 and, where the machine has IPv6, [::1], on one port. */
export class ApiSockets {
  readonly #ip4: Socket;
  readonly #ip6: Socket | undefined;
  #isClosed = false;

  private constructor(ip4: Socket, ip6: Socket | undefined) {
    this.#ip4 = ip4;
    this.#ip6 = ip6;
  }

  /**
   * Listens; port 0 means any free one.
   * @throws SystemError API_PORT when the port cannot be had on an address that the machine has.
   */
  static async bind(port: number, log: Logger): Promise<ApiSockets> {
    for (let tries = 1; ; tries++) {
      try {
        return await ApiSockets.#bindBoth(port, log);
      } catch (error) {
        // Any free port of one family may be taken in the other; another one will do.
        if (port !== 0 || tries >= FREE_PORT_TRIES) throw error;
      }
    }
  }

  static async #bindBoth(port: number, log: Logger): Promise<ApiSockets> {
    const ip4 = await bound('udp4', '127.0.0.1', port);
    try {
      const ip6 = await bound('udp6', '::1', ip4.address().port);
      return new ApiSockets(ip4, ip6);
    } catch (error) {
      const code = error instanceof SystemError ? causeCode(error.cause) : undefined;
      if (code === undefined || !NO_IPV6.has(code)) {
        ip4.close();
        throw error;
      }
      log.info(`no IPv6 on loopback (${code}): the API listens on 127.0.0.1 only`);
      return new ApiSockets(ip4, undefined);
    }
  }

  get port(): number {
    return this.#ip4.address().port;
  }

  /** Whether a datagram can be sent to this address: one of loopback, of a family that is there. */
  reaches(address: string): boolean {
    return address === '::1' ? this.#ip6 !== undefined : /^127(\.\d{1,3}){3}$/.test(address);
  }

  onMessage(receive: Receiver, log: Logger): void {
    for (const socket of [this.#ip4, this.#ip6]) {
      socket?.on('message', receive);
      // ICMP port-unreachable of a client that went away surfaces here on some kernels; the socket stays usable.
      socket?.on('error', (error) => log.warn({ err: error }, `API socket: ${describeError(error)}`));
    }
  }

  /** Does nothing once closed: a call may still be at work while the server ends. */
  send(datagram: Uint8Array, port: number, address: string): void {
    if (this.#isClosed) return;
    const socket = address.includes(':') ? this.#ip6 : this.#ip4;
    socket?.send(datagram, port, address);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(() => resolve()));
    await Promise.all([closed(this.#ip4), this.#ip6 === undefined ? undefined : closed(this.#ip6)]);
  }
}

function bound(type: 'udp4' | 'udp6', address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  return new Promise((resolve, reject) => {
    socket.once('error', (cause) => {
      socket.close();
      const text = type === 'udp6' ? `[${address}]` : address;
      reject(new SystemError('API_PORT', `cannot listen on ${text}:${port}`, { field: 'api.port', cause }));
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

function causeCode(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
}
