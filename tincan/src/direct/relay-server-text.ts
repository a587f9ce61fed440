import { endpointText } from '../endpoint.ts';
import type { RelayServer } from './direct-port.ts';

/** A TURN server for people. */
export function relayServerText(server: RelayServer): string {
  return server.name ?? endpointText(server);
}
