import { networkInterfaces } from 'node:os';

/** Whether this machine has an address, in the text form that sockets and interfaces share. */
export function hasAddress(ip: string): boolean {
  // A socket of both families names IPv4 so (RFC 4291 §2.5.5.2), and link-local addresses with their zone.
  const plain = ip.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '');
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === plain));
}
