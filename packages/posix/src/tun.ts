import { check } from './errno.ts';
import { closeFd, O_NONBLOCK, O_RDWR, openFile } from './file.ts';
import { ifreq } from './ifreq.ts';
import { cIoctl } from './libc.ts';
import { addressOf, stableBytes } from './memory.ts';

// linux/if_tun.h
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 0x0002;
/** No 4-byte packet information before each frame. */
const IFF_NO_PI = 0x1000;
/** Refuse a name that exists already, instead of attaching to somebody else's device. */
const IFF_TUN_EXCL = 0x8000;
/** Every frame is preceded by a struct virtio_net_hdr. */
export const IFF_VNET_HDR = 0x4000;
/** The device may have several descriptors; the kernel spreads flows over them. */
export const IFF_MULTI_QUEUE = 0x0100;

// What the reader of a TAP takes off the kernel's hands (linux/if_tun.h). TSO and USO need CSUM.
/** Frames may come with only the pseudo-header sum in the transport checksum. */
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
/** TCP super-frames may carry ECN's CWR. */
export const TUN_F_TSO_ECN = 0x08;
/** UDP super-frames; Linux 6.2 and later, and only both together. */
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/**
 * Creates a TAP device and returns its non-blocking descriptor. One read or write is one Ethernet frame. The device is not
 * persistent: it vanishes when the last descriptor closes, however the process dies.
 * `extraFlags` adds bits of TUNSETIFF such as IFF_VNET_HDR.
 * Throws ConfigError for an unfit name, SystemError otherwise: ENOENT or ENODEV without /dev/net/tun or its driver, EACCES or
 * EPERM without rights, EBUSY when the name is taken.
 */
export function openTap(name: string, extraFlags = 0): number {
  return openQueue(name, IFF_TUN_EXCL | extraFlags, `create TAP device ${name}`);
}

/**
 * One more descriptor of a TAP device that openTap made with IFF_MULTI_QUEUE; `extraFlags` must be the same as there, or the
 * kernel answers EINVAL. Throws as openTap does.
 */
export function openTapQueue(name: string, extraFlags: number): number {
  return openQueue(name, extraFlags, `add a queue to TAP device ${name}`);
}

function openQueue(name: string, flags: number, attempt: string): number {
  const request = ifreq(name);
  request.halves[0] = IFF_TAP | IFF_NO_PI | flags;
  const fd = openFile('/dev/net/tun', O_RDWR | O_NONBLOCK);
  try {
    check(cIoctl(fd, TUNSETIFF, request.address), attempt);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/**
 * Says which offloads (TUN_F_*) the reader of a TAP with IFF_VNET_HDR understands; the kernel then hands it super-frames.
 * Throws SystemError, EINVAL when the kernel does not know one of them.
 */
export function setOffload(fd: number, flags: number): void {
  // The argument is the value itself, not an address (tun_chr_ioctl of drivers/net/tun.c).
  check(
    cIoctl(fd, TUNSETOFFLOAD, flags),
    `set the offloads of TAP descriptor ${fd} to 0x${flags.toString(16)}`,
  );
}

/** Sets the length of the virtio header before each frame: 10 bytes without, 12 with a buffer count. Throws SystemError. */
export function setVnetHeaderBytes(fd: number, bytes: number): void {
  const value = stableBytes(4);
  new Int32Array(value.buffer)[0] = bytes;
  check(
    cIoctl(fd, TUNSETVNETHDRSZ, addressOf(value)),
    `set the virtio header of TAP descriptor ${fd} to ${bytes} bytes`,
  );
}
