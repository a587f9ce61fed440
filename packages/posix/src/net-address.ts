import { check, systemCallError } from './errno.ts';
import { closeFd, readInto, writeFrom } from './file.ts';
import { assertLength } from './ifreq.ts';
import { cSocket } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';
import { interfaceIndex } from './net-device.ts';

// bits/socket.h
const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
// linux/rtnetlink.h
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
// linux/netlink.h
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;
const NLMSG_ERROR = 2;
const NLMSG_HEADER_BYTES = 16;
/** struct ifaddrmsg of linux/if_addr.h. */
const IFADDRMSG_BYTES = 8;
/** struct rtattr and one IPv4 address. */
const ATTRIBUTE_BYTES = 8;
// linux/if_addr.h
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IP4_BYTES = 4;
/** Prefixes of 31 and 32 bits have no broadcast address (RFC 3021). */
const LONGEST_PREFIX_WITH_BROADCAST = 30;
/** An acknowledgement is a header, an errno and the request's header; the rest is room for an extended message. */
const REPLY_BYTES = 4096;

/** Adds an IPv4 address (4 bytes) and its connected route to a device in one step. Throws SystemError. */
export function addIp4(name: string, address: Uint8Array, prefixLength: number): void {
  const message = addressMessage(name, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address, prefixLength);
  transact(message, `give ${name} the address ${address.join('.')}/${prefixLength}`);
}

/** Takes an IPv4 address (4 bytes) from a device. Throws SystemError, EADDRNOTAVAIL when it is not there. */
export function deleteIp4(name: string, address: Uint8Array, prefixLength: number): void {
  const message = addressMessage(name, RTM_DELADDR, 0, address, prefixLength);
  transact(message, `take the address ${address.join('.')}/${prefixLength} from ${name}`);
}

/**
 * One rtnetlink request in native byte order: nlmsghdr, ifaddrmsg, attributes. rtnetlink rather than SIOCSIFADDR, because
 * that one first gives the device a classful mask and, for a moment, a route that may cover addresses which are not ours.
 */
function addressMessage(
  name: string,
  type: number,
  flags: number,
  address: Uint8Array,
  prefixLength: number,
): Uint8Array {
  assertLength(address, IP4_BYTES, 'an IPv4 address');
  const hasBroadcast = type === RTM_NEWADDR && prefixLength <= LONGEST_PREFIX_WITH_BROADCAST;
  const length = NLMSG_HEADER_BYTES + IFADDRMSG_BYTES + (hasBroadcast ? 3 : 2) * ATTRIBUTE_BYTES;
  const bytes = stableBytes(length);
  const words = new Uint32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  words[0] = length;
  halves[2] = type;
  halves[3] = NLM_F_REQUEST | NLM_F_ACK | flags;
  bytes[NLMSG_HEADER_BYTES] = AF_INET;
  bytes[NLMSG_HEADER_BYTES + 1] = prefixLength;
  words[(NLMSG_HEADER_BYTES + 4) / 4] = interfaceIndex(name);
  const attribute = (slot: number, kind: number, value: Uint8Array): void => {
    const at = NLMSG_HEADER_BYTES + IFADDRMSG_BYTES + slot * ATTRIBUTE_BYTES;
    halves[at / 2] = ATTRIBUTE_BYTES;
    halves[at / 2 + 1] = kind;
    bytes.set(value, at + 4);
  };
  attribute(0, IFA_LOCAL, address);
  attribute(1, IFA_ADDRESS, address);
  if (hasBroadcast) attribute(2, IFA_BROADCAST, broadcastAddress(address, prefixLength));
  return bytes;
}

/** The address whose host bits are all ones. */
export function broadcastAddress(address: Uint8Array, prefixLength: number): Uint8Array {
  return address.map((byte, index) => {
    const networkBits = Math.min(8, Math.max(0, prefixLength - index * 8));
    return byte | (0xff >> networkBits);
  });
}

/** Sends one request to the kernel and waits for its acknowledgement, which rtnetlink writes before the send returns. */
function transact(message: Uint8Array, attempt: string): void {
  const fd = check(cSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), 'open a netlink socket');
  try {
    const sent = writeFrom(fd, addressOf(message), message.length);
    if (sent < 0) throw systemCallError(attempt, -sent);
    const reply = stableBytes(REPLY_BYTES);
    const received = readInto(fd, addressOf(reply), reply.length);
    if (received < 0) throw systemCallError(attempt, -received);
    const type = new Uint16Array(reply.buffer)[2];
    const error = new Int32Array(reply.buffer)[NLMSG_HEADER_BYTES / 4] ?? 0;
    // An NLMSG_ERROR that carries 0 is the acknowledgement (RFC 3549 §2.3.2.2).
    if (type === NLMSG_ERROR && error < 0) throw systemCallError(attempt, -error);
  } finally {
    closeFd(fd);
  }
}
