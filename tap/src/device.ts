import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { ConfigError, KithError, SystemError } from '@kith/base';
import {
  addIp4,
  addIp6,
  closeFd,
  deleteIp4,
  deleteIp6,
  IFF_VNET_HDR,
  interfaceIndex,
  openTap,
  setGsoMaxSize,
  setMac,
  setMtu,
  setOffload,
  setUp,
  setVnetHeaderBytes,
  TUN_F_CSUM,
  TUN_F_TSO_ECN,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
} from '@kith/posix';
import { IP6_BYTES, isStationMac, MAC_BYTES, parseIp4 } from './addresses.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

/** An IPv4 address with its network, as the config names it. */
export interface Ip4Setting {
  readonly address: string;
  readonly prefixLength: number;
}

/** An IPv6 address of 16 bytes, and its network. */
export interface Ip6Setting {
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** Below 576 no IPv4 host has to work (RFC 1122 §3.3.2); above 65521 Linux refuses a TAP (MAX_MTU of drivers/net/tun.c). */
const MIN_MTU = 576;
const MAX_MTU = 65_521;

/** Which super-frames the kernel may hand over. Without TSO, transport checksums are still left to the receiver's kernel. */
export interface Offload {
  readonly tso: boolean;
  readonly uso: boolean;
}

/**
 * Largest super-frame that the kernel builds, so that all chunks of one fit into one send: 65 507 bytes of datagrams of 1 232 bytes
 * (IPv6's least MTU) hold 53 chunks, whose payloads of about 1 106 bytes (32 bytes of datagram, 8 of chunk, 86 of headers) sum up to this.
 */
const MAX_SUPER_FRAME = 58_600;

/** Throws ConfigError for values that cannot make a device. */
export function assertDeviceOptions(mac: Uint8Array, mtu: number, ip4: Ip4Setting | undefined): void {
  if (mac.length !== MAC_BYTES || !isStationMac(mac, 0)) {
    throw new ConfigError('TAP_MAC', 'the MAC address must be 6 bytes, neither zero nor multicast', {
      field: 'mac',
    });
  }
  if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > MAX_MTU) {
    throw new ConfigError('TAP_MTU', `the MTU must be from ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`, {
      field: 'mtu',
    });
  }
  if (ip4 !== undefined) assertIp4(ip4);
}

/** Throws ConfigError unless the address and prefix can be set. */
export function assertIp4(ip4: Ip4Setting): void {
  parseIp4(ip4.address);
  if (!Number.isInteger(ip4.prefixLength) || ip4.prefixLength < 1 || ip4.prefixLength > 32) {
    throw new ConfigError('TAP_ADDRESS', `the prefix length must be from 1 to 32, not ${ip4.prefixLength}`, {
      field: 'ip4',
    });
  }
}

/** Throws ConfigError unless the address and prefix can be set. */
export function assertIp6({ address, prefixLength }: Ip6Setting): void {
  if (
    address.length === IP6_BYTES &&
    Number.isInteger(prefixLength) &&
    prefixLength >= 1 &&
    prefixLength <= 128
  ) {
    return;
  }
  throw new ConfigError('TAP_ADDRESS', 'an IPv6 address has 16 bytes and a prefix length from 1 to 128', {
    field: 'ip6',
  });
}

export interface Device {
  readonly fd: number;
  /** What of the wanted offloads the kernel knows. */
  readonly offload: Offload;
  /** The machine does not let it be forbidden that members announce themselves as routers to its kernel. */
  readonly acceptsRouters: boolean;
}

/**
 * Creates the device, gives it its addresses and sets it up. Each read and write of its descriptor has a virtio header before the
 * frame; closing the descriptor removes the device.
 */
export function createDevice(
  name: string,
  mac: Uint8Array,
  mtu: number,
  ip4: Ip4Setting | undefined,
  wanted: Offload,
): Device {
  const fd = openNamed(name);
  try {
    setVnetHeaderBytes(fd, VIRTIO_HEADER_BYTES);
    setMac(name, mac);
    setMtu(name, mtu);
    const offload = agreeOnOffload(fd, wanted);
    if (offload.tso) limitSuperFrames(name);
    if (ip4 !== undefined) addIp4(name, parseIp4(ip4.address), ip4.prefixLength);
    const acceptsRouters = !refuseRouters(name);
    setUp(name, true);
    return { fd, offload, acceptsRouters };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Turns on what the kernel knows of the wanted offloads. */
function agreeOnOffload(fd: number, wanted: Offload): Offload {
  const tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (wanted.tso && wanted.uso && acceptsOffload(fd, tso | TUN_F_USO4 | TUN_F_USO6))
    return { tso: true, uso: true };
  if (wanted.tso && acceptsOffload(fd, tso)) return { tso: true, uso: false };
  if (!acceptsOffload(fd, TUN_F_CSUM)) setOffload(fd, 0);
  return { tso: false, uso: false };
}

function acceptsOffload(fd: number, flags: number): boolean {
  try {
    setOffload(fd, flags);
    return true;
  } catch (error) {
    // EINVAL: a kernel that does not know one of the flags.
    if (error instanceof KithError && error.code === 'EINVAL') return false;
    throw error;
  }
}

/**
 * A member that announces itself as a router (RFC 4861 §6.2) would get addresses of its choice onto this machine, and all its traffic to
 * the rest of the world. So nobody is asked for routers either, which the kernel would go on doing for hours (RFC 7559), and each time wake
 * all members. Returns false where the setting stands otherwise and may not be written, as in a container.
 */
function refuseRouters(name: string): boolean {
  const setting = `/proc/sys/net/ipv6/conf/${name}/accept_ra`;
  try {
    writeFileSync(setting, '0');
    return true;
  } catch {
    // A machine without IPv6 has no such setting.
    return !existsSync(setting) || readFileSync(setting, 'utf8').trim() === '0';
  }
}

/** A super-frame of full size only costs a second send, so that a kernel without this setting is no reason to fail. */
function limitSuperFrames(name: string): void {
  try {
    setGsoMaxSize(interfaceIndex(name), MAX_SUPER_FRAME);
  } catch (error) {
    if (!(error instanceof KithError)) throw error;
  }
}

/**
 * Replaces the device's address. The old one goes first: added to the same network the new one would be its secondary, and
 * Linux removes secondaries together with their primary.
 */
export function replaceIp4(name: string, old: Ip4Setting | undefined, ip4: Ip4Setting): void {
  if (old !== undefined) {
    try {
      deleteIp4(name, parseIp4(old.address), old.prefixLength);
    } catch (error) {
      // Somebody took it away by hand: then it is as we want it.
      if (!(error instanceof KithError) || error.code !== 'EADDRNOTAVAIL') throw error;
    }
  }
  addIp4(name, parseIp4(ip4.address), ip4.prefixLength);
}

/** Replaces the device's IPv6 address; null: there is none. Link-local addresses are the kernel's own and stay. */
export function replaceIp6(name: string, old: Ip6Setting | null, ip6: Ip6Setting | null): void {
  if (old !== null) {
    try {
      deleteIp6(name, old.address, old.prefixLength);
    } catch (error) {
      if (!(error instanceof KithError) || error.code !== 'EADDRNOTAVAIL') throw error;
    }
  }
  if (ip6 !== null) addIp6(name, ip6.address, ip6.prefixLength);
}

function openNamed(name: string): number {
  try {
    return openTap(name, IFF_VNET_HDR);
  } catch (cause) {
    const code = cause instanceof KithError ? cause.code : '';
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') {
      const message =
        '/dev/net/tun is missing: load the kernel module (modprobe tun) or give it to the container';
      throw new SystemError('TAP_NO_DRIVER', message, { cause });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      const message = `no right to create TAP device ${name}: it takes root, or CAP_NET_ADMIN and access to /dev/net/tun`;
      throw new SystemError('TAP_NO_RIGHTS', message, { cause });
    }
    if (code === 'EBUSY') {
      const message = `an interface named ${name} exists already: choose another name, or end what uses it`;
      throw new SystemError('TAP_NAME_TAKEN', message, { cause });
    }
    throw cause;
  }
}
