import { createSocket, type Socket } from 'node:dgram';
import { type Endpoint, endpointText } from '../endpoint.ts';
import { SOCKET_BUFFER_BYTES } from '../turn/socket-buffer.ts';
import { HelloRepeater } from './hello-repeater.ts';

/**
 * Addresses of one peer that are reached by way of a relay: those that it named, and some that it did not. libjuice takes twenty candidates of
 * a peer, those that it reaches itself among them.
 */
const MAX_DETOURS = 14;

const LOOPBACK = '127.0.0.1';

interface Detour {
  peer: Endpoint;
  socket: Socket;
  hello: HelloRepeater;
  /** Undefined until the socket is bound. */
  at: Endpoint | undefined;
  /** Who waits for that. */
  waiting: ((at: Endpoint) => void)[];
}

/**
 * A peer's addresses as ICE sees them when they are reached by way of a relay: each is a port on loopback, and what ICE sends there goes
 * to the relay, what comes from it goes to ICE's own port. ICE has no TURN of its own then, which is what libdatachannel 0.24.5 locks
 * itself up with (libdatachannel#1630).
 */
export class Detours {
  readonly #send: (peer: Endpoint, datagram: Uint8Array) => void;
  readonly #detours = new Map<string, Detour>();
  #icePort: number | undefined;
  /** Datagrams of strangers on this machine, and of peers for whom there is no room. */
  dropped = 0;

  /** @param send passes on what ICE says to a peer; the bytes are the callee's to keep */
  constructor(send: (peer: Endpoint, datagram: Uint8Array) => void) {
    this.#send = send;
  }

  /** The UDP port of the ICE agent: who sends from another is not it. */
  setIcePort(port: number): void {
    this.#icePort = port;
  }

  /** Makes a peer's address reachable, unless there are too many; `ready` is told where on loopback. */
  open(peer: Endpoint, ready: (at: Endpoint) => void): void {
    const detour = this.#of(peer);
    if (detour === undefined) return;
    if (detour.at === undefined) detour.waiting.push(ready);
    else ready(detour.at);
  }

  /** Gives ICE what a peer sent by way of the relay; the bytes must not change any more. */
  deliver(peer: Endpoint, datagram: Uint8Array): void {
    const port = this.#icePort;
    const detour = port === undefined ? undefined : this.#of(peer);
    if (port === undefined || detour === undefined) {
      this.dropped++;
      return;
    }
    detour.hello.received(datagram);
    // An address that its peer did not name may come with a datagram; the socket takes it before it is bound.
    detour.socket.send(datagram, port, LOOPBACK);
  }

  /** Who is reached at an address on loopback, as `endpointText` writes it. */
  peerAt(text: string): Endpoint | undefined {
    for (const { at, peer } of this.#detours.values()) {
      if (at !== undefined && endpointText(at) === text) return peer;
    }
    return undefined;
  }

  close(): void {
    for (const { socket, hello, waiting } of this.#detours.values()) {
      hello.stop();
      waiting.length = 0;
      socket.removeAllListeners('message');
      socket.close();
    }
    this.#detours.clear();
  }

  #of(peer: Endpoint): Detour | undefined {
    const key = endpointText(peer);
    const known = this.#detours.get(key);
    if (known !== undefined) return known;
    if (this.#detours.size >= MAX_DETOURS) {
      this.dropped++;
      return undefined;
    }
    const socket = createSocket({ type: 'udp4', recvBufferSize: SOCKET_BUFFER_BYTES });
    const hello = new HelloRepeater((message) => this.#send(peer, message));
    const detour: Detour = { peer, socket, hello, at: undefined, waiting: [] };
    this.#detours.set(key, detour);
    // What loopback refuses is lost as on any way; who waits for the port goes without.
    socket.on('error', () => undefined);
    socket.on('message', (data, { address, port }) => {
      if (address !== LOOPBACK || port !== this.#icePort) {
        this.dropped++;
        return;
      }
      this.#send(peer, data);
      hello.sent(data);
    });
    socket.bind(0, LOOPBACK, () => {
      const at = { ip: LOOPBACK, port: socket.address().port };
      detour.at = at;
      for (const ready of detour.waiting.splice(0)) ready(at);
    });
    return detour;
  }
}
