import { check } from './errno.ts';
import { closeFd } from './file.ts';
import { assertLength, type Ifreq, ifreq } from './ifreq.ts';
import { cIoctl, cSocket } from './libc.ts';

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

function deviceIoctl(code: number, request: Ifreq, attempt: string): void {
  const fd = check(cSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'open a socket for interface settings');
  try {
    check(cIoctl(fd, code, request.address), attempt);
  } finally {
    closeFd(fd);
  }
}
