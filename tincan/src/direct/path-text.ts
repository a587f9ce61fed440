import { endpointText } from '../endpoint.ts';
import type { Address } from './direct-port.ts';

/**
 * A path for people, e.g. `direct 192.0.2.1:5801` or `relay 203.0.113.1:61005`; with a TURN server of our own
 * `relay 203.0.113.1:3478 to 198.51.100.2:5801`, or `relay to 198.51.100.2:5801 via tls hub.example.org:5349`.
 */
export function pathText({ ip, port, via, isRelayed }: Address & { isRelayed: boolean }): string {
  const to = endpointText({ ip, port });
  if (via?.name !== undefined) return `relay to ${to} via ${via.name}`;
  if (via !== undefined) return `relay ${endpointText(via)} to ${to}`;
  return `${isRelayed ? 'relay' : 'direct'} ${to}`;
}
