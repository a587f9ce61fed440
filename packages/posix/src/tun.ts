import { check } from './errno.ts';
import { closeFd, O_NONBLOCK, O_RDWR, openFile } from './file.ts';
import { ifreq } from './ifreq.ts';
import { cIoctl } from './libc.ts';

// linux/if_tun.h
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
/** No 4-byte packet information before each frame. */
const IFF_NO_PI = 0x1000;
/** Refuse a name that exists already, instead of attaching to somebody else's device. */
const IFF_TUN_EXCL = 0x8000;

/**
 * Creates a TAP device and returns its non-blocking descriptor. One read or write is one Ethernet frame. The device is not
 * persistent: it vanishes when the last descriptor closes, however the process dies.
 * `extraFlags` adds bits of TUNSETIFF such as IFF_VNET_HDR.
 * Throws ConfigError for an unfit name, SystemError otherwise: ENOENT or ENODEV without /dev/net/tun or its driver, EACCES or
 * EPERM without rights, EBUSY when the name is taken.
 */
export function openTap(name: string, extraFlags = 0): number {
  const request = ifreq(name);
  request.halves[0] = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | extraFlags;
  const fd = openFile('/dev/net/tun', O_RDWR | O_NONBLOCK);
  try {
    check(cIoctl(fd, TUNSETIFF, request.address), `create TAP device ${name}`);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}
