import { check } from './errno.ts';
import { closeFd } from './file.ts';
import { assertLength, type Ifreq, ifreq } from './ifreq.ts';
import { cIoctl, cSocket } from './libc.ts';
import { stableBytes } from './memory.ts';
import { NLM_F_ACK, NLM_F_REQUEST, NLMSG_HEADER_BYTES, transact } from './netlink.ts';

// linux/sockios.h
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFMTU = 0x8922;
const SIOCSIFHWADDR = 0x8924;
const SIOCGIFINDEX = 0x8933;
// linux/if.h
const IFF_UP = 0x1;
/** ARPHRD_ETHER of linux/if_arp.h: the address that follows is an Ethernet address. */
const ARPHRD_ETHER = 1;
// bits/socket.h
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MAC_BYTES = 6;
// linux/rtnetlink.h, linux/if_link.h
const RTM_SETLINK = 19;
const IFLA_GSO_MAX_SIZE = 41;
/** struct ifinfomsg of linux/rtnetlink.h: family, type, index, flags, change. */
const IFINFOMSG_BYTES = 16;
/** struct rtattr and one 32-bit value. */
const U32_ATTRIBUTE_BYTES = 8;

/** Gives an Ethernet device its hardware address (6 bytes, unicast). Throws SystemError. */
export function setMac(name: string, mac: Uint8Array): void {
  assertLength(mac, MAC_BYTES, 'a MAC address');
  const request = ifreq(name);
  request.halves[0] = ARPHRD_ETHER;
  request.bytes.set(mac, 2);
  deviceIoctl(SIOCSIFHWADDR, request, `set the MAC address of ${name}`);
}

/** Sets the largest IP packet of a device, in bytes (without the Ethernet header). Throws SystemError. */
export function setMtu(name: string, mtu: number): void {
  const request = ifreq(name);
  request.words[0] = mtu;
  deviceIoctl(SIOCSIFMTU, request, `set the MTU of ${name} to ${mtu}`);
}

/** Sets a device up or down. Throws SystemError. */
export function setUp(name: string, up: boolean): void {
  const request = ifreq(name);
  deviceIoctl(SIOCGIFFLAGS, request, `read the flags of ${name}`);
  const flags = request.halves[0] ?? 0;
  request.halves[0] = up ? flags | IFF_UP : flags & ~IFF_UP;
  deviceIoctl(SIOCSIFFLAGS, request, `set ${name} ${up ? 'up' : 'down'}`);
}

/** The kernel's number of a device. Throws SystemError, ENODEV when there is none of that name. */
export function interfaceIndex(name: string): number {
  const request = ifreq(name);
  deviceIoctl(SIOCGIFINDEX, request, `find interface ${name}`);
  return request.words[0] ?? 0;
}

/**
 * Sets the largest super-frame, in bytes from the network header on, that the kernel builds for a device. Up to 65 536 it
 * holds for IPv4 too (netif_set_gso_max_size() of net/core/rtnetlink.c keeps gso_ipv4_max_size in step). Throws SystemError.
 */
export function setGsoMaxSize(index: number, bytes: number): void {
  const length = NLMSG_HEADER_BYTES + IFINFOMSG_BYTES + U32_ATTRIBUTE_BYTES;
  const message = stableBytes(length);
  const words = new Uint32Array(message.buffer);
  const halves = new Uint16Array(message.buffer);
  const attribute = NLMSG_HEADER_BYTES + IFINFOMSG_BYTES;
  words[0] = length;
  halves[2] = RTM_SETLINK;
  halves[3] = NLM_F_REQUEST | NLM_F_ACK;
  words[NLMSG_HEADER_BYTES / 4 + 1] = index;
  halves[attribute / 2] = U32_ATTRIBUTE_BYTES;
  halves[attribute / 2 + 1] = IFLA_GSO_MAX_SIZE;
  words[attribute / 4 + 1] = bytes;
  transact(message, `set the largest super-frame of interface ${index} to ${bytes}`);
}

function deviceIoctl(code: number, request: Ifreq, attempt: string): void {
  const fd = check(cSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'open a socket for interface settings');
  try {
    check(cIoctl(fd, code, request.address), attempt);
  } finally {
    closeFd(fd);
  }
}
