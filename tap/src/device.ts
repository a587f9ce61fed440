import { ConfigError, KithError, SystemError } from '@kith/base';
import { addIp4, closeFd, deleteIp4, openTap, setMac, setMtu, setUp } from '@kith/posix';
import { isStationMac, MAC_BYTES, parseIp4 } from './addresses.ts';

/** An IPv4 address with its network, as the config names it. */
export interface Ip4Setting {
  readonly address: string;
  readonly prefixLength: number;
}

/** Below 576 no IPv4 host has to work (RFC 1122 §3.3.2); above 65521 Linux refuses a TAP (MAX_MTU of drivers/net/tun.c). */
const MIN_MTU = 576;
const MAX_MTU = 65_521;

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

/** Creates the device, gives it its addresses and sets it up. Returns its descriptor; closing that removes the device. */
export function createDevice(
  name: string,
  mac: Uint8Array,
  mtu: number,
  ip4: Ip4Setting | undefined,
): number {
  const fd = openNamed(name);
  try {
    setMac(name, mac);
    setMtu(name, mtu);
    if (ip4 !== undefined) addIp4(name, parseIp4(ip4.address), ip4.prefixLength);
    setUp(name, true);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
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

function openNamed(name: string): number {
  try {
    return openTap(name);
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
