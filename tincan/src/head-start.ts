/** Addresses of one end of a link: those of its interfaces, and what STUN servers see it as. Canonical text. */
export interface EndAddresses {
  readonly hosts: readonly string[];
  readonly mapped: readonly string[];
}

/** 2000::/3 (RFC 4291 §2.4): there is rarely a NAT before it. */
const GLOBAL_IP6 = /^[23][0-9a-f]{3}:/;

/**
 * Which end's connectivity checks are to go first, so that the DTLS server is connected before the client's ClientHello reaches it:
 * libdatachannel drops one that is early, and repeats it after a second (libdatachannel#1635).
 *
 * Where checks get through at once, whoever sends the first has the first answer. Where a NAT stands before the client, it drops the server's
 * first check unless the client's went out before; then the first check that gets through is that of whoever came second, and it is the
 * server that must come second.
 */
export function clientGoesFirst(client: EndAddresses, server: EndAddresses): boolean {
  if ([client, server].every(({ hosts }) => hosts.some((ip) => GLOBAL_IP6.test(ip)))) return false;
  // Behind one NAT the two are on one LAN, or need its hairpin.
  return client.mapped.some((ip) => !client.hosts.includes(ip) && !server.mapped.includes(ip));
}
