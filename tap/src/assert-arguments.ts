/** Checks of what callers of Tap give; each throws BugError. */
import { BugError } from '@kith/base';
import { addressBytes, IP4_BYTES, LINK_MAX } from './addresses.ts';
import type { LinkTranslation } from './member.ts';

export function assertLink(link: number): void {
  if (!Number.isInteger(link) || link < 0 || link > LINK_MAX) {
    throw new BugError('TAP_LINK', `${link} is not a link: expected 0 to ${LINK_MAX}`);
  }
}

export function assertTranslation({ remote, source, destination, localMapped }: LinkTranslation): void {
  for (const address of [remote, source, destination, localMapped ?? destination]) {
    if (address.length !== IP4_BYTES) {
      throw new BugError('TAP_ADDRESS_LENGTH', `an IPv4 address of ${address.length} bytes`);
    }
  }
}

export function assertAddress(kind: number, address: Uint8Array): void {
  if (address.length !== addressBytes(kind)) {
    throw new BugError(
      'TAP_ADDRESS_LENGTH',
      `an address of ${address.length} bytes instead of ${addressBytes(kind)}`,
    );
  }
}
