import { PeerError } from '@kith/base';
import ipaddr from 'ipaddr.js';

/**
 * The 4 or 16 bytes of an IP address in network byte order.
 * @throws PeerError ADDRESS_INVALID.
 */
export function ipBytes(text: string): Uint8Array {
  if (!ipaddr.isValid(text))
    throw new PeerError('ADDRESS_INVALID', `${JSON.stringify(text.slice(0, 64))} is no IP address`);
  return Uint8Array.from(ipaddr.parse(text).toByteArray());
}
