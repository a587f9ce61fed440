import { assertLength } from './ifreq.ts';
import { stableBytes } from './memory.ts';
import { interfaceIndex } from './net-device.ts';
import { NLM_F_ACK, NLM_F_REQUEST, NLMSG_HEADER_BYTES, transact } from './netlink.ts';

// bits/socket.h
const AF_INET = 2;
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
const IP4_BYTES = 4;
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
