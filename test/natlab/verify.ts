import type { Host } from '../lab/index.ts';
import type { Kind } from './kinds.mjs';
import { type Findings, probe } from './probe.ts';
import type { Site } from './site.ts';

/**
 * Probes a network from within and compares it with what its kind claims. Returns what differs, in words; an empty list is what a
 * grid can be trusted on.
 */
export async function verify(server: Host, site: Site): Promise<string[]> {
  const { kind, host } = site;
  const problems: string[] = [];
  const [by4, by6] = await Promise.all([
    host.ip4 === '' ? undefined : probe(server, host, 4),
    host.ip6 === '' ? undefined : probe(server, host, 6),
  ]);
  const check = (what: string, found: unknown, claimed: unknown): void => {
    if (JSON.stringify(found) !== JSON.stringify(claimed))
      problems.push(`${kind.id}: ${what} is ${JSON.stringify(found)}, not ${JSON.stringify(claimed)}`);
  };
  check('UDP by IPv4', by4?.udp ?? null, kind.ip4);
  check('UDP by IPv6', by6?.udp ?? null, kind.ip6);
  check(
    'TCP',
    by4?.tcp.length === 0 ? by6?.tcp : (by4 ?? by6)?.tcp,
    kind.only443 === true ? [443] : [443, 5222],
  );
  checkHairpin(kind, by4, check);
  for (const found of [by4, by6]) {
    if (found?.udp !== null && found !== undefined)
      check(
        'room for large datagrams',
        [found.largeUp, found.largeDown],
        Array(2).fill(kind.id !== 'mtu-1280'),
      );
  }
  return problems;
}

function checkHairpin(
  kind: Kind,
  by4: Findings | undefined,
  check: (what: string, found: unknown, claimed: unknown) => void,
): void {
  // A host without NAT reaches itself by its own address, and what a cone does with its own host is not what it is here for.
  if (by4 === undefined || kind.ip4 === null || kind.ip4.mapping === 'none') return;
  check('hairpinning', by4.hairpin, kind.shared === 'hairpin');
}
