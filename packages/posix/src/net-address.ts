import { assertLength } from './ifreq.ts';
import { stableBytes } from './memory.ts';
import { interfaceIndex } from './net-device.ts';
import { NLM_F_ACK, NLM_F_REQUEST, NLMSG_HEADER_BYTES, transact } from './netlink.ts';

// bits/socket.h
const AF_INET = 2;
const AF_INET6 = 10;
// linux/rtnetlink.h
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
// linux/netlink.h
const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;
/** struct ifaddrmsg of linux/if_addr.h. */
const IFADDRMSG_BYTES = 8;
/** struct rtattr and one IPv4 address. */
const ATTRIBUTE_BYTES = 8;
// linux/if_addr.h
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
/**
 * No duplicate address detection: for one second the address could not be used, and on an interface whose other end is a program, the
 * one who gives the address has seen to it that nobody else has it.
 */
const IFA_F_NODAD = 0x02;
const IP4_BYTES = 4;
const IP6_BYTES = 16;
/** Prefixes of 31 and 32 bits have no broadcast address (RFC 3021). */
const LONGEST_PREFIX_WITH_BROADCAST = 30;

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

/** Adds an IPv6 address (16 bytes) and its connected route to a device, without duplicate address detection. Throws SystemError. */
export function addIp6(name: string, address: Uint8Array, prefixLength: number): void {
  const message = address6Message(name, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address, prefixLength);
  transact(message, `give ${name} an IPv6 address with a prefix of ${prefixLength} bits`);
}

/** Takes an IPv6 address (16 bytes) from a device. Throws SystemError, EADDRNOTAVAIL when it is not there. */
export function deleteIp6(name: string, address: Uint8Array, prefixLength: number): void {
  const message = address6Message(name, RTM_DELADDR, 0, address, prefixLength);
  transact(message, `take an IPv6 address from ${name}`);
}

/** As addressMessage, with the one attribute that IPv6 knows. */
function address6Message(
  name: string,
  type: number,
  flags: number,
  address: Uint8Array,
  prefixLength: number,
): Uint8Array {
  assertLength(address, IP6_BYTES, 'an IPv6 address');
  const attribute = NLMSG_HEADER_BYTES + IFADDRMSG_BYTES;
  const bytes = stableBytes(attribute + 4 + IP6_BYTES);
  const words = new Uint32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  words[0] = bytes.length;
  halves[2] = type;
  halves[3] = NLM_F_REQUEST | NLM_F_ACK | flags;
  bytes.set([AF_INET6, prefixLength, IFA_F_NODAD], NLMSG_HEADER_BYTES);
  words[(NLMSG_HEADER_BYTES + 4) / 4] = interfaceIndex(name);
  halves[attribute / 2] = 4 + IP6_BYTES;
  halves[attribute / 2 + 1] = IFA_ADDRESS;
  bytes.set(address, attribute + 4);
  return bytes;
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
