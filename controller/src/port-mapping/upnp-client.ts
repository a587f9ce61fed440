import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { PeerError, SystemError } from '@kith/base';
import type { HomeNetwork } from './home-network.ts';
import { LIFETIME_S, type Mapping, type MappingRequest } from './mapping.ts';
import { askRouter } from './router-http.ts';
import {
  descriptionUrl,
  externalIpOf,
  SSDP_GROUP,
  SSDP_PORT,
  searches,
  soapCall,
  UPNP_CONFLICT,
  UPNP_ONLY_PERMANENT,
  type UpnpArguments,
  upnpError,
  type WanService,
  wanServices,
} from './upnp-text.ts';

/** When searches are sent; answers come within MX, one second. */
const SEARCH_AT_MS = [0, 500];
const SEARCH_END_MS = 2_000;

/** UPnP Device Architecture 1.1 §1.3.2: the TTL of searches should be 2. */
const SEARCH_TTL = 2;

/** Outer ports that are tried when the first belongs to another machine. RFC 6335 §6: dynamic ports. */
const OTHER_PORTS = 3;
const FIRST_DYNAMIC_PORT = 49_152;

/** The router has understood and does not want to. */
class UpnpRefusal extends PeerError {
  readonly number: number | undefined;

  constructor(action: string, number: number | undefined) {
    super(
      'PORT_REFUSED',
      `the router refuses ${action} by upnp${number === undefined ? '' : `: error ${number}`}`,
    );
    this.number = number;
  }
}

/** Maps a port by UPnP's Internet Gateway Device 1 or 2. @throws PeerError PORT_REFUSED, SystemError ROUTER_SILENT */
export async function mapByUpnp(request: MappingRequest, description: string): Promise<Mapping> {
  const { network, signal } = request;
  const url = await search(network, signal);
  const answer = await askRouter({ url, localAddress: network.localIp, signal });
  let problem: unknown = new PeerError('PORT_REFUSED', 'the router offers no port mapping by upnp');
  for (const service of wanServices(answer.body, url)) {
    try {
      return await mapAt(service, request, description);
    } catch (error) {
      // The first of two ways out may be the one that is not connected.
      problem = error;
    }
  }
  throw problem;
}

async function mapAt(service: WanService, request: MappingRequest, description: string): Promise<Mapping> {
  const others = Array.from({ length: OTHER_PORTS }, () => randomInt(FIRST_DYNAMIC_PORT, 65_536));
  let problem: unknown;
  for (const externalPort of [request.port, ...others]) {
    try {
      return await add(service, request, description, externalPort);
    } catch (error) {
      if (!(error instanceof UpnpRefusal) || error.number !== UPNP_CONFLICT) throw error;
      problem = error;
    }
  }
  throw problem;
}

async function add(
  service: WanService,
  request: MappingRequest,
  description: string,
  externalPort: number,
): Promise<Mapping> {
  const { network, port, signal } = request;
  const ip = externalIpOf(await call(service, network, 'GetExternalIPAddress', {}, signal));
  if (ip === undefined) throw new PeerError('PORT_REFUSED', 'the router says no outer address by upnp');
  const which = { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: 'UDP' };
  const wish = (lifetimeS: number): UpnpArguments => ({
    ...which,
    NewInternalPort: port,
    NewInternalClient: network.localIp,
    NewEnabled: 1,
    NewPortMappingDescription: description,
    NewLeaseDuration: lifetimeS,
  });
  try {
    await call(service, network, 'AddPortMapping', wish(LIFETIME_S), signal);
  } catch (error) {
    if (!(error instanceof UpnpRefusal) || error.number !== UPNP_ONLY_PERMANENT) throw error;
    await call(service, network, 'AddPortMapping', wish(0), signal);
  }
  return {
    ...{ by: 'upnp', ip, port: externalPort, lifetimeMs: LIFETIME_S * 1_000 },
    renew: (next) => add(service, { ...request, signal: next }, description, externalPort),
    release: async (next) => void (await call(service, network, 'DeletePortMapping', which, next)),
  };
}

async function call(
  { type, control }: WanService,
  { localIp }: HomeNetwork,
  action: string,
  values: UpnpArguments,
  signal: AbortSignal,
): Promise<string> {
  const { status, body } = await askRouter({
    url: control,
    post: {
      body: soapCall(type, action, values),
      headers: { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` },
    },
    localAddress: localIp,
    signal,
  });
  if (status !== 200) throw new UpnpRefusal(action, upnpError(body));
  return body;
}

/** Finds the router's description: of all that answer a search, only the router of the default route counts. */
function search({ gateway, localIp }: HomeNetwork, signal: AbortSignal): Promise<URL> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const timers: NodeJS.Timeout[] = [];
    let problem: unknown;
    let isOver = false;
    const end = (url?: URL): void => {
      if (isOver) return;
      isOver = true;
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.close();
      if (url !== undefined) resolve(url);
      else reject(new SystemError('ROUTER_SILENT', 'no router answers UPnP', { cause: problem }));
    };
    const fail = (cause: unknown): void => {
      problem = cause;
      end();
    };
    const onAbort = (): void => fail(signal.reason);
    const send = (): void => {
      // Not every switch passes multicast, and not every router hears a search that is for it alone.
      for (const to of [SSDP_GROUP, gateway]) {
        for (const text of searches()) {
          socket.send(text, SSDP_PORT, to, (error) => {
            if (error !== null) problem = error;
          });
        }
      }
    };
    signal.addEventListener('abort', onAbort);
    socket.on('error', fail);
    socket.on('message', (data, from) => {
      const url = from.address === gateway ? descriptionUrl(data.toString('latin1'), gateway) : undefined;
      if (url !== undefined) end(url);
    });
    if (signal.aborted) return onAbort();
    socket.bind({ address: localIp, port: 0 }, () => {
      if (isOver) return;
      try {
        socket.setMulticastInterface(localIp);
        socket.setMulticastTTL(SEARCH_TTL);
      } catch (error) {
        // The router itself is asked all the same.
        problem = error;
      }
      for (const at of SEARCH_AT_MS) timers.push(setTimeout(send, at));
      timers.push(setTimeout(() => end(), SEARCH_END_MS));
    });
  });
}
