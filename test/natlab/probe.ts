import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SystemError } from '@kith/base';
import { HOST_INTERFACE, type Host, type Lab } from '../lab/index.ts';
import type { Udp } from './kinds.mjs';

/** What a probe found out about one family of a network. */
export interface Findings {
  /** null: no UDP at all. */
  udp: Udp | null;
  hairpin: boolean;
  /** Datagrams that need 1428 bytes of IP get through, out and in. */
  largeUp: boolean;
  largeDown: boolean;
  /** TCP ports that can be reached. */
  tcp: number[];
}

/** The server's second addresses, which the lab gives to nobody. */
const OTHER4 = '203.0.113.240';
const OTHER6 = '2001:db8:113::240';

const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Puts the probe's server on a host of its own on the lab's switch. */
export async function startProbeServer(lab: Lab): Promise<Host> {
  const host = await lab.host('probe');
  for (const address of [`${OTHER4}/24`, `${OTHER6}/64`]) {
    const nodad = address.includes(':') ? ['nodad'] : [];
    await host.run('ip', ['address', 'add', address, 'dev', HOST_INTERFACE, ...nodad]);
  }
  const addresses = [host.ip4, OTHER4, host.ip6, OTHER6];
  const child = host.spawn(process.execPath, [program('./probe-server.mjs'), ...addresses], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === null) throw new SystemError('PROBE_FAILED', 'no output');
  const first = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (first.value !== 'listening') throw new SystemError('PROBE_FAILED', 'the probe server did not start');
  // It ends with the lab.
  child.unref();
  return host;
}

/** What the network in front of `host` does by IPv4 or IPv6. */
export async function probe(server: Host, host: Host, family: 4 | 6): Promise<Findings> {
  const addresses = family === 4 ? [server.ip4, OTHER4] : [server.ip6, OTHER6];
  const output = await host.run(process.execPath, [program('./probe-client.mjs'), ...addresses]);
  return findings(JSON.parse(output), family === 4 ? host.ip4 : host.ip6);
}

/** What probe-client.mjs prints. */
export interface Answers {
  /** Our own port. */
  own: string;
  /** "address port" as four destinations see us, or null. */
  seen: (string | null)[];
  fromOtherAddress: boolean;
  fromOtherPort: boolean;
  hairpin: boolean;
  largeUp: boolean;
  largeDown: boolean;
  tcp: number[];
}

/** Puts the answers into the words of RFC 4787. */
export function findings(answers: Answers, ownIp: string): Findings {
  const { seen, own, fromOtherAddress, fromOtherPort, hairpin, largeUp, largeDown, tcp } = answers;
  const [first] = seen;
  const mapping = seen.some((address) => address !== first)
    ? 'dependent'
    : first === `${ownIp} ${own}`
      ? 'none'
      : 'independent';
  const filtering = fromOtherAddress ? 'independent' : fromOtherPort ? 'address' : 'address-port';
  return {
    udp: seen.every((address) => address === null) ? null : { mapping, filtering },
    ...{ hairpin, largeUp, largeDown, tcp },
  };
}
