import { PeerError, SystemError } from '@kith/base';
import type { Mapping, MappingRequest } from './mapping.ts';
import { mapByPortControl } from './port-control-client.ts';
import { mapByUpnp } from './upnp-client.ts';

/**
 * Maps a port by the first way that the router knows: PCP, NAT-PMP, UPnP. A router that speaks PCP and refuses is asked by UPnP too,
 * since the two are switched on and off apart. @throws PeerError PORT_REFUSED, SystemError ROUTER_SILENT
 */
export async function searchMapping(
  request: MappingRequest,
  nonce: Uint8Array,
  description: string,
): Promise<Mapping> {
  let refusal: PeerError | undefined;
  try {
    return await mapByPortControl(request, nonce);
  } catch (error) {
    if (error instanceof PeerError) refusal = error;
    else if (!(error instanceof SystemError)) throw error;
  }
  try {
    return await mapByUpnp(request, description);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw (
      refusal ??
      new SystemError('ROUTER_SILENT', 'the router offers none (PCP, NAT-PMP, UPnP)', { cause: error.cause })
    );
  }
}
