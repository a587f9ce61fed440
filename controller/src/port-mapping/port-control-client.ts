import { createSocket, type Socket } from 'node:dgram';
import { PeerError, SystemError } from '@kith/base';
import {
  decodePortControl,
  encodePcpMap,
  encodePmpAddress,
  encodePmpMap,
  type MapRequest,
  PCP_NONCE_BYTES,
  PORT_CONTROL_OK,
  PORT_CONTROL_PORT,
  type PortControlReply,
  UNSUPPORTED_VERSION,
} from '@kith/protocol';
import type { HomeNetwork } from './home-network.ts';
import { LIFETIME_S, type Mapping, type MappingRequest } from './mapping.ts';

/** RFC 6886 §3.1: 250 ms, doubled each time. A router on the LAN answers at once or never. */
const RETRY_MS = [250, 500, 1_000];

/** Words for results that people can do something about (RFC 6887 §7.4, RFC 6886 §3.5). */
const PCP_WORDS: Readonly<Record<number, string>> = {
  2: 'it is not allowed',
  7: 'the router has no way out',
  8: 'the router has no room',
  10: 'this machine has too many mappings',
  12: 'another router is in between',
};
const PMP_WORDS: Readonly<Record<number, string>> = {
  2: 'it is not allowed',
  3: 'the router has no way out',
  4: 'the router has no room',
};

/**
 * Maps a port by PCP, or by NAT-PMP where the router speaks that only (RFC 6887 §9). `nonce`, PCP_NONCE_BYTES of bytes, must be the same for all requests of a
 * mapping. @throws PeerError PORT_REFUSED, SystemError ROUTER_SILENT
 */
export async function mapByPortControl(request: MappingRequest, nonce: Uint8Array): Promise<Mapping> {
  return ask(request, nonce, {
    internalPort: request.port,
    externalPort: request.port,
    lifetimeS: LIFETIME_S,
  });
}

async function ask(request: MappingRequest, nonce: Uint8Array, map: MapRequest): Promise<Mapping> {
  const { network, signal } = request;
  const given = await withRouter(network, signal, async (router) => {
    const { localIp } = network;
    const reply = await router.ask(encodePcpMap(map, localIp, nonce), (one) => isPcpAnswer(one, map, nonce));
    if (reply.is === 'refusal' && (reply.version === 'pmp' || reply.result === UNSUPPORTED_VERSION))
      return askOlder(router, map);
    const { result } = reply;
    if (reply.is !== 'pcp-map' || result !== PORT_CONTROL_OK) throw refused('pcp', result, PCP_WORDS);
    return { ...reply, by: 'pcp' as const };
  });
  const { by, externalIp, externalPort, lifetimeS } = given;
  const again = (changes: Partial<MapRequest>, nextSignal: AbortSignal): Promise<Mapping> =>
    ask({ ...request, signal: nextSignal }, nonce, { ...map, externalPort, ...changes });
  return {
    ...{ by, ip: externalIp, port: externalPort, lifetimeMs: lifetimeS * 1_000 },
    renew: (nextSignal) => again({}, nextSignal),
    release: async (nextSignal) => void (await again({ lifetimeS: 0 }, nextSignal)),
  };
}

async function askOlder(router: Router, map: MapRequest) {
  const address = await router.ask(
    encodePmpAddress(),
    (one) => one.is === 'pmp-address' || one.is === 'refusal',
  );
  if (address.is !== 'pmp-address' || address.result !== PORT_CONTROL_OK)
    throw refused('nat-pmp', address.result, PMP_WORDS);
  const reply = await router.ask(
    encodePmpMap(map),
    (one) => (one.is === 'pmp-map' && one.internalPort === map.internalPort) || one.is === 'refusal',
  );
  if (reply.is !== 'pmp-map' || reply.result !== PORT_CONTROL_OK)
    throw refused('nat-pmp', reply.result, PMP_WORDS);
  return { ...reply, by: 'nat-pmp' as const, externalIp: address.externalIp };
}

function isPcpAnswer(reply: PortControlReply, map: MapRequest, nonce: Uint8Array): boolean {
  if (reply.is === 'refusal') return true;
  if (reply.is !== 'pcp-map' || reply.internalPort !== map.internalPort) return false;
  return reply.nonce === Buffer.from(nonce.subarray(0, PCP_NONCE_BYTES)).toString('hex');
}

function refused(by: string, result: number, words: Readonly<Record<number, string>>): PeerError {
  return new PeerError('PORT_REFUSED', `the router refuses by ${by}: ${words[result] ?? `result ${result}`}`);
}

interface Router {
  ask(request: Uint8Array, isAnswer: (reply: PortControlReply) => boolean): Promise<PortControlReply>;
}

/** Opens a socket that hears the router only, which `connect` sees to, and closes it at the end of `work`. */
async function withRouter<T>(
  { gateway, localIp }: HomeNetwork,
  signal: AbortSignal,
  work: (router: Router) => Promise<T>,
): Promise<T> {
  const socket = createSocket('udp4');
  // Between two questions nobody waits for an error, and one that nobody listens to ends the process.
  socket.on('error', () => {});
  try {
    await connected(socket, gateway, localIp);
    return await work({ ask: (request, isAnswer) => exchange(socket, request, isAnswer, signal) });
  } finally {
    socket.close();
  }
}

function connected(socket: Socket, gateway: string, localIp: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new SystemError('ROUTER_SILENT', `the router ${gateway} cannot be asked`, { cause }));
    socket.once('error', fail);
    socket.bind({ address: localIp, port: 0 }, () => {
      socket.connect(PORT_CONTROL_PORT, gateway, (error?: Error) => {
        socket.off('error', fail);
        // Node hands a failure (no route) to the callback.
        if (error === undefined || error === null) resolve();
        else fail(error);
      });
    });
  });
}

function exchange(
  socket: Socket,
  request: Uint8Array,
  isAnswer: (reply: PortControlReply) => boolean,
  signal: AbortSignal,
): Promise<PortControlReply> {
  return new Promise((resolve, reject) => {
    let tries = 0;
    let timer: NodeJS.Timeout | undefined;
    const end = (outcome: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('message', onMessage);
      socket.off('error', onError);
      outcome();
    };
    const silent = (cause?: unknown): void =>
      end(() => reject(new SystemError('ROUTER_SILENT', 'the router does not answer PCP', { cause })));
    const onAbort = (): void => silent(signal.reason);
    // ECONNREFUSED: an ICMP error says that nobody listens there.
    const onError = (error: Error): void => silent(error);
    const onMessage = (data: Buffer): void => {
      const reply = decodePortControl(data);
      if (reply !== undefined && isAnswer(reply)) end(() => resolve(reply));
    };
    const send = (): void => {
      const wait = RETRY_MS[tries++];
      if (wait === undefined) {
        silent();
        return;
      }
      timer = setTimeout(send, wait);
      socket.send(request, (error) => {
        if (error !== null) silent(error);
      });
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    socket.on('message', onMessage);
    socket.on('error', onError);
    send();
  });
}
