import { KithError } from '@kith/base';
import { check } from './errno.ts';
import { closeFd } from './file.ts';
import { cBind, cGetsockname, cSocket } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';
import {
  AF_INET,
  AF_INET6,
  decodeSockaddr,
  encodeSockaddr,
  SOCKADDR_BYTES,
  type SocketFamily,
} from './sockaddr.ts';
import { setSocketOption, socketOption, trySocketOption } from './socket-option.ts';

// bits/socket.h
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_RXQ_OVFL = 40;
// linux/in.h, linux/in6.h
const SOL_IP = 0;
const IP_MTU_DISCOVER = 10;
const SOL_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
/** IP_PMTUDISC_PROBE, IPV6_PMTUDISC_PROBE: "don't fragment" is set, and what routers say about the path is left to us. */
const PMTUDISC_PROBE = 3;
// linux/udp.h
const SOL_UDP = 17;
const UDP_GRO = 104;

export interface UdpSocketOptions {
  /** `dual` by default; where the kernel has no IPv6 it becomes 4. */
  readonly family?: SocketFamily;
  /** Local address; every one by default. */
  readonly address?: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** Several sockets on one port; the kernel spreads the flows. */
  readonly reusePort?: boolean;
  /** Wanted size of both buffers, in bytes of data (the kernel keeps twice as much to account for its own overhead). */
  readonly bufferBytes?: number;
  /** Ask for UDP_GRO; true by default. */
  readonly gro?: boolean;
}

/**
 * A non-blocking UDP socket that never fragments, with the kernel's receive coalescing (UDP_GRO) where it exists and the
 * count of datagrams that found the buffer full. Sending and receiving: DatagramSender, DatagramReceiver.
 */
export class UdpSocket {
  readonly fd: number;
  readonly family: SocketFamily;
  readonly port: number;
  /** Whether the kernel may hand over several datagrams as one (UDP_GRO). */
  readonly gro: boolean;
  /** Bytes the kernel granted, its doubling included (socket(7)). */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  #open = true;

  private constructor(fd: number, family: SocketFamily, gro: boolean) {
    this.fd = fd;
    this.family = family;
    this.gro = gro;
    this.port = boundPort(fd);
    this.receiveBufferBytes = socketOption(fd, SOL_SOCKET, SO_RCVBUF, 'read the size of the receive buffer');
    this.sendBufferBytes = socketOption(fd, SOL_SOCKET, SO_SNDBUF, 'read the size of the send buffer');
  }

  /** Throws SystemError (EADDRINUSE, EADDRNOTAVAIL, EACCES, ...), ConfigError for an address that is none. */
  static open(options: UdpSocketOptions): UdpSocket {
    const wanted = options.family ?? 'dual';
    if (wanted === 4) return UdpSocket.#openAs(4, options);
    try {
      return UdpSocket.#openAs('dual', options);
    } catch (error) {
      // EAFNOSUPPORT: built without IPv6. EADDRNOTAVAIL on "::": switched off by ipv6.disable_ipv6.
      const without6 =
        error instanceof KithError &&
        (error.code === 'EAFNOSUPPORT' || (error.code === 'EADDRNOTAVAIL' && options.address === undefined));
      if (!without6) throw error;
      return UdpSocket.#openAs(4, options);
    }
  }

  static #openAs(family: SocketFamily, options: UdpSocketOptions): UdpSocket {
    const fd = check(
      cSocket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      'open a UDP socket',
    );
    try {
      const gro = configure(fd, family, options);
      bind(fd, family, options);
      return new UdpSocket(fd, family, gro);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  /** Closes the socket; a second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeFd(this.fd);
  }
}

/** Sets everything that must be set before bind. Returns whether UDP_GRO is on. */
function configure(fd: number, family: SocketFamily, options: UdpSocketOptions): boolean {
  if (family === 'dual') {
    setSocketOption(fd, SOL_IPV6, IPV6_V6ONLY, 0, 'let an IPv6 socket speak IPv4');
    setSocketOption(fd, SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE, 'forbid fragments over IPv6');
  }
  // On a dual socket this one rules the v4-mapped destinations.
  setSocketOption(fd, SOL_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE, 'forbid fragments over IPv4');
  if (options.reusePort === true) setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, 'share a UDP port');
  setSocketOption(fd, SOL_SOCKET, SO_RXQ_OVFL, 1, 'count datagrams that find the buffer full');
  if (options.bufferBytes !== undefined) {
    growBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.bufferBytes);
    growBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options.bufferBytes);
  }
  return options.gro !== false && trySocketOption(fd, SOL_UDP, UDP_GRO, 1);
}

/** FORCE needs CAP_NET_ADMIN and goes past net.core.*mem_max; without it the kernel gives what that allows. */
function growBuffer(fd: number, forced: number, plain: number, bytes: number): void {
  if (!trySocketOption(fd, SOL_SOCKET, forced, bytes)) trySocketOption(fd, SOL_SOCKET, plain, bytes);
}

function bind(fd: number, family: SocketFamily, options: UdpSocketOptions): void {
  const ip = options.address ?? (family === 4 ? '0.0.0.0' : '::');
  const sockaddr = stableBytes(SOCKADDR_BYTES);
  const length = encodeSockaddr(family, ip, options.port, sockaddr);
  check(cBind(fd, addressOf(sockaddr), length), `bind a UDP socket to ${ip} port ${options.port}`);
}

function boundPort(fd: number): number {
  const bytes = stableBytes(SOCKADDR_BYTES + 4);
  const address = addressOf(bytes);
  new Uint32Array(bytes.buffer)[SOCKADDR_BYTES / 4] = SOCKADDR_BYTES;
  check(cGetsockname(fd, address, address + SOCKADDR_BYTES), 'read the port of a UDP socket');
  return decodeSockaddr(bytes).port;
}
