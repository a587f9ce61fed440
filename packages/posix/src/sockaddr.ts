import { ConfigError, SystemError } from '@kith/base';
import { formatIp4, formatIp6, isV4Mapped, parseIp4, parseIp6, toV4Mapped } from './ip-text.ts';

// bits/socket.h
export const AF_INET = 2;
export const AF_INET6 = 10;
/** sizeof(struct sockaddr_in): family (native u16), port (big-endian), IPv4 address, 8 unused bytes. */
export const SOCKADDR_IN_BYTES = 16;
/** sizeof(struct sockaddr_in6): family, port, flow label, IPv6 address at 8, scope (native u32) at 24. */
export const SOCKADDR_IN6_BYTES = 28;
/** Room that holds either. */
export const SOCKADDR_BYTES = SOCKADDR_IN6_BYTES;
const IP4_AT = 4;
const IP6_AT = 8;
const SCOPE_AT = 24;

/** `dual`: an IPv6 socket that also speaks IPv4, in v4-mapped addresses. 4: an IPv4 socket. */
export type SocketFamily = 'dual' | 4;

export interface SocketAddress {
  /** IPv4 in dotted decimal; IPv6 as RFC 5952 says, with `%` and the interface's number when it is link-local. */
  readonly ip: string;
  readonly port: number;
}

/**
 * Writes an address as a sockaddr for a socket of `family` into `into` (28 bytes) and returns its length. Throws ConfigError
 * SOCKET_ADDRESS when it is no address, SystemError EAFNOSUPPORT for an IPv6 address on an IPv4 socket.
 */
export function encodeSockaddr(family: SocketFamily, ip: string, port: number, into: Uint8Array): number {
  const [address = '', zone] = ip.split('%', 2);
  const ip4 = zone === undefined ? parseIp4(address) : null;
  const ip6 = ip4 === null ? parseIp6(address) : null;
  const scope = zone === undefined ? 0 : parseScope(zone);
  if ((ip4 === null && ip6 === null) || scope === null || !isPort(port)) {
    throw new ConfigError(
      'SOCKET_ADDRESS',
      `${JSON.stringify(ip)} with port ${port} is no address of a socket`,
    );
  }
  if (family === 4) {
    const bytes = ip4 ?? v4Of(ip6);
    if (bytes === null) {
      throw new SystemError('EAFNOSUPPORT', `the IPv6 address ${ip} cannot be reached from an IPv4 socket`);
    }
    putFamilyAndPort(into, AF_INET, port);
    into.fill(0, IP4_AT, SOCKADDR_BYTES);
    into.set(bytes, IP4_AT);
    return SOCKADDR_IN_BYTES;
  }
  putFamilyAndPort(into, AF_INET6, port);
  into.fill(0, IP4_AT, SOCKADDR_BYTES);
  if (ip4 !== null) into.set(toV4Mapped(ip4), IP6_AT);
  else if (ip6 !== null) into.set(ip6, IP6_AT);
  for (let index = 0; index < 4; index++) into[SCOPE_AT + index] = scope >>> (index * 8);
  return SOCKADDR_IN6_BYTES;
}

/** Reads a sockaddr; v4-mapped addresses are shown as IPv4. Throws SystemError EAFNOSUPPORT for another family. */
export function decodeSockaddr(view: Uint8Array): SocketAddress {
  const family = familyOf(view);
  const port = ((view[2] ?? 0) << 8) | (view[3] ?? 0);
  if (family === AF_INET) return { ip: formatIp4(view.subarray(IP4_AT, IP4_AT + 4)), port };
  if (family !== AF_INET6) {
    throw new SystemError('EAFNOSUPPORT', `a socket address of family ${family} is neither IPv4 nor IPv6`);
  }
  const ip6 = view.subarray(IP6_AT, IP6_AT + 16);
  if (isV4Mapped(ip6)) return { ip: formatIp4(ip6.subarray(12)), port };
  let scope = 0;
  for (let index = 3; index >= 0; index--) scope = scope * 256 + (view[SCOPE_AT + index] ?? 0);
  return { ip: scope === 0 ? formatIp6(ip6) : `${formatIp6(ip6)}%${scope}`, port };
}

/**
 * Hot call: whether two sockaddrs (28 bytes of room each) name the same peer: family, port, address, and scope. Flow labels
 * and unused bytes do not count. Allocates nothing.
 */
export function sameSockaddr(one: Uint8Array, other: Uint8Array): boolean {
  const is4 = familyOf(one) === AF_INET;
  // Bytes 0..3 are family and port in both layouts; IPv4 addresses follow at once, IPv6 ones after the flow label.
  for (let index = 0; index < 4; index++) if (one[index] !== other[index]) return false;
  const end = is4 ? IP4_AT + 4 : SOCKADDR_IN6_BYTES;
  for (let index = is4 ? IP4_AT : IP6_AT; index < end; index++) if (one[index] !== other[index]) return false;
  return true;
}

/** sa_family is a native u16, which is little-endian on the machines we run on. */
function familyOf(view: Uint8Array): number {
  return (view[0] ?? 0) | ((view[1] ?? 0) << 8);
}

function putFamilyAndPort(into: Uint8Array, family: number, port: number): void {
  into[0] = family;
  into[1] = 0;
  into[2] = port >> 8;
  into[3] = port;
}

function v4Of(ip6: Uint8Array | null): Uint8Array | null {
  return ip6 !== null && isV4Mapped(ip6) ? ip6.subarray(12) : null;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 0xffff;
}

/** The number of an interface, as decodeSockaddr shows it; names would need a look-up that may change under our feet. */
function parseScope(zone: string): number | null {
  const scope = /^[1-9][0-9]{0,9}$/.test(zone) ? Number(zone) : 0;
  return scope > 0 && scope <= 0xffff_ffff ? scope : null;
}
