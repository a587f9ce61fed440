import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * The one spelling of an address that we compare and print: dotted decimal for IPv4 and for IPv4-mapped IPv6, RFC 5952 for IPv6.
 * Undefined for what is no address, and for one with a zone: a zone means nothing on another machine.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

/** 16 bytes in network order; IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2). The text must be an address. */
export function ipToBytes(text: string): Uint8Array {
  const address = ipaddr.parse(text);
  const six = address.kind() === 'ipv4' ? ipaddr.IPv6.parse(`::ffff:${text}`) : address;
  return Uint8Array.from(six.toByteArray());
}

/** The canonical text of 4 or 16 bytes in network order. */
export function ipFromBytes(bytes: Uint8Array): string {
  const text = ipaddr.fromByteArray([...bytes]).toString();
  return canonicalIp(text) ?? text;
}
