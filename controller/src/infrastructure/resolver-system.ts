import { createSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { ResolverSystem } from './outside-names.ts';

/** One name server's answer, ms, and how often it is asked; half of what setting up a connection may take in all. */
const QUERY_MS = 2_500;
const QUERY_TRIES = 2;

/** Any port: nothing is sent. RFC 863. */
const DISCARD_PORT = 9;

/** This machine's resolver and routes. */
export const machineResolver: ResolverSystem = {
  resolvConf: () => readText('/etc/resolv.conf'),
  hosts: () => readText('/etc/hosts'),
  lookup: async (host) => (await dns.lookup(host, { all: true })).map(({ address }) => address),
  query: async (servers, host) => {
    const resolver = new dns.Resolver({ timeout: QUERY_MS, tries: QUERY_TRIES });
    resolver.setServers(servers.map((server) => (isIPv6(server) ? `[${server}]` : server)));
    const [ip4, ip6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = [ip4, ip6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length === 0 && ip4.status === 'rejected') throw ip4.reason;
    return found;
  },
  sourceOf: (ip) =>
    new Promise((resolve) => {
      const socket = createSocket(isIPv6(ip) ? 'udp6' : 'udp4');
      const end = (source?: string): void => {
        socket.close();
        resolve(source);
      };
      socket.once('error', () => end());
      // Connecting a UDP socket sends nothing; the kernel only looks up the route (udp(7)).
      socket.connect(DISCARD_PORT, ip, (error?: Error | null) => {
        end(error === undefined || error === null ? socket.address().address : undefined);
      });
    }),
};

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // A machine may have neither file; the resolver has defaults for both.
    return '';
  }
}
