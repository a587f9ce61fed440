import type { Endpoint, RelayServer } from './direct-port.ts';

/** `ip:port`, an IPv6 address in brackets; the address must be canonical. */
export function endpointText({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** A TURN server for people. */
export function relayServerText(server: RelayServer): string {
  return server.name ?? endpointText(server);
}
