import { BugError, ConfigError } from '@kith/base';
import { addressOf, stableBytes } from './memory.ts';

/** IFNAMSIZ of linux/if.h: 15 characters and a NUL. */
const IFNAMSIZ = 16;
/** sizeof(struct ifreq) on 64-bit Linux: the name and a union of 24 bytes. */
const IFREQ_BYTES = 40;

/** struct ifreq (linux/if.h): an interface's name and one value, in native byte order. */
export interface Ifreq {
  readonly address: number;
  /** The value part as bytes, 16-bit and 32-bit words. */
  readonly bytes: Uint8Array;
  readonly halves: Int16Array;
  readonly words: Int32Array;
}

/** Builds an ifreq for an interface. Throws ConfigError for a name that Linux would refuse or rewrite. */
export function ifreq(name: string): Ifreq {
  assertInterfaceName(name);
  const memory = stableBytes(IFREQ_BYTES);
  for (let index = 0; index < name.length; index++) memory[index] = name.charCodeAt(index);
  return {
    address: addressOf(memory),
    bytes: memory.subarray(IFNAMSIZ),
    halves: new Int16Array(memory.buffer, IFNAMSIZ),
    words: new Int32Array(memory.buffer, IFNAMSIZ),
  };
}

/**
 * Throws ConfigError unless `name` is an interface name that means itself: dev_valid_name() of net/core/dev.c forbids `/`, `:`,
 * spaces, `.` and `..`; a `%` would make TUNSETIFF number the device.
 */
export function assertInterfaceName(name: string): void {
  if (!/^[\x21-\x7e]{1,15}$/.test(name) || /[/:%]/.test(name) || name === '.' || name === '..') {
    throw new ConfigError(
      'INTERFACE_NAME',
      `interface name ${JSON.stringify(name)} cannot be used: expected 1 to 15 ASCII characters without space, "/", ":" or "%"`,
    );
  }
}

/** Throws BugError unless a byte string has the length its kind must have. */
export function assertLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) {
    throw new BugError('POSIX_BAD_LENGTH', `${what} has ${bytes.length} bytes instead of ${length}`);
  }
}
