import { check, systemCallError } from './errno.ts';
import { closeFd, readInto, writeFrom } from './file.ts';
import { cSocket } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';
import { AF_NETLINK, NETLINK_ROUTE, NLM_F_REQUEST, NLMSG_HEADER_BYTES } from './netlink.ts';

// bits/socket.h
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
// linux/rtnetlink.h
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
/** struct rtmsg of linux/rtnetlink.h: family, two prefix lengths, TOS, table, protocol, scope, type, flags. */
const RTMSG_BYTES = 12;
/** struct rtattr, before its value; attributes begin at multiples of four (RTA_ALIGN). */
const ATTRIBUTE_HEADER_BYTES = 4;
const IP4_BYTES = 4;
const IP6_BYTES = 16;
/** A route has some ten attributes; one over several next hops has more, of which the kernel names the chosen one first. */
const REPLY_BYTES = 4096;

/**
 * The number of the interface by which a packet to `address` (4 or 16 bytes, network byte order) would leave this machine, by all its
 * rules and tables (ip-rule(8)); null: it would not leave. Asks rtnetlink, which answers before the write returns; some 10 µs.
 * Throws SystemError where there is no netlink.
 */
export function routeInterface(address: Uint8Array): number | null {
  const request = routeRequest(address);
  const fd = check(cSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), 'open a netlink socket');
  try {
    const sent = writeFrom(fd, addressOf(request), request.length);
    if (sent < 0) throw systemCallError('ask for a route', -sent);
    const reply = stableBytes(REPLY_BYTES);
    const received = readInto(fd, addressOf(reply), reply.length);
    if (received < 0) throw systemCallError('read a route', -received);
    return readRouteInterface(reply.subarray(0, received));
  } finally {
    closeFd(fd);
  }
}

function routeRequest(address: Uint8Array): Uint8Array {
  if (address.length !== IP4_BYTES && address.length !== IP6_BYTES) {
    throw new RangeError(`an IP address must have 4 or 16 bytes, not ${address.length}`);
  }
  const attribute = NLMSG_HEADER_BYTES + RTMSG_BYTES;
  const bytes = stableBytes(attribute + ATTRIBUTE_HEADER_BYTES + address.length);
  const words = new Uint32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  words[0] = bytes.length;
  halves[2] = RTM_GETROUTE;
  halves[3] = NLM_F_REQUEST;
  bytes[NLMSG_HEADER_BYTES] = address.length === IP4_BYTES ? AF_INET : AF_INET6;
  bytes[NLMSG_HEADER_BYTES + 1] = address.length * 8;
  halves[attribute / 2] = ATTRIBUTE_HEADER_BYTES + address.length;
  halves[attribute / 2 + 1] = RTA_DST;
  bytes.set(address, attribute + ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

/** The outgoing interface in rtnetlink's answer (in native byte order); null for an error, such as "no way there", or anything else. */
export function readRouteInterface(reply: Uint8Array): number | null {
  if (reply.length < NLMSG_HEADER_BYTES + RTMSG_BYTES) return null;
  // A copy: the views need an offset that is a multiple of four.
  const words = new Uint32Array(Uint8Array.from(reply).buffer, 0, reply.length >> 2);
  const halves = new Uint16Array(words.buffer);
  if (halves[2] !== RTM_NEWROUTE) return null;
  const end = Math.min(words[0] ?? 0, words.length * 4);
  for (let at = NLMSG_HEADER_BYTES + RTMSG_BYTES; at + ATTRIBUTE_HEADER_BYTES <= end; ) {
    const length = halves[at / 2] ?? 0;
    if (length < ATTRIBUTE_HEADER_BYTES) return null;
    if (halves[at / 2 + 1] === RTA_OIF && length === ATTRIBUTE_HEADER_BYTES + 4) {
      return words[at / 4 + 1] ?? null;
    }
    at += (length + 3) & ~3;
  }
  return null;
}
