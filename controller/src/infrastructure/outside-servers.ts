import { describeError, type Logger } from '@kith/base';
import type { IceServer } from '@kith/protocol';
import type { OutsideNames } from './outside-names.ts';

/**
 * STUN and TURN servers as tincan may be given them: by address, so that nobody resolves their names a second time, and without those
 * that are inside the network. A server by TLS keeps its name, which its certificate has to carry.
 */
export async function outsideServers(
  servers: readonly IceServer[],
  names: Pick<OutsideNames, 'resolve' | 'isSystemSafe'>,
  log: Logger,
): Promise<IceServer[]> {
  const found = await Promise.all(servers.map((server) => outsideServer(server, names, log)));
  return found.flat();
}

async function outsideServer(
  server: IceServer,
  names: Pick<OutsideNames, 'resolve' | 'isSystemSafe'>,
  log: Logger,
): Promise<IceServer[]> {
  const { host, transport } = server;
  try {
    const addresses = await names.resolve(host);
    if (transport !== 'tls') {
      // Of each family one, IPv4 first: behind its NATs a server is needed, and either may be out of reach.
      const ofEach = [addresses.find((ip) => !ip.includes(':')), addresses.find((ip) => ip.includes(':'))];
      return ofEach.flatMap((ip) => (ip === undefined ? [] : [{ ...server, host: ip }]));
    }
    if (await names.isSystemSafe(host)) return [server];
    log.warn({ host }, 'a TURN server by TLS is left out: its name would be resolved inside the network');
  } catch (error) {
    log.warn({ host }, `a STUN or TURN server is left out: ${describeError(error)}`);
  }
  return [];
}
