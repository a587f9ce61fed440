import type { Kind, Udp } from './kinds.mjs';

export type Reach = 'direct' | 'relayed';

export interface Expectation {
  expected: Reach;
  /** The reason, from theory. */
  theory: string;
}

/**
 * What two networks allow, by theory alone: each end knows its own address as a server sees it (RFC 5780 §4.3), tells it to the other,
 * and both send to each other's (RFC 5128 §3.3). `direct` when a datagram gets through that way in some family, else `relayed`.
 */
export function expectation(a: Kind, b: Kind): Expectation {
  switch (a.shared) {
    case 'lan':
      return { expected: 'direct', theory: 'they are neighbours in one LAN' };
    case 'hairpin':
      return { expected: 'direct', theory: 'the router turns round what is sent to its outer address' };
    case 'no-hairpin':
      return {
        expected: 'relayed',
        theory:
          'the LAN keeps them apart, and the router does not turn round what is sent to its outer address',
      };
    default:
  }
  const reasons: string[] = [];
  for (const [family, one, other] of [
    ['IPv6', a.ip6, b.ip6],
    ['IPv4', a.ip4, b.ip4],
  ] as const) {
    if (one === null || other === null) continue;
    const obstacle = obstacleBetween(one, other);
    if (obstacle === null)
      return { expected: 'direct', theory: `UDP by ${family} gets through, if both send` };
    reasons.push(obstacle);
  }
  return { expected: 'relayed', theory: reasons[0] ?? withoutFamily(a, b) };
}

/** Why no datagram can get through, or null when it can. */
function obstacleBetween(one: Udp, other: Udp): string | null {
  const dependent = [one, other].filter(({ mapping }) => mapping === 'dependent').length;
  if (dependent === 2) return 'both NATs map ports per destination';
  if (dependent === 0) return null;
  // The end that maps per destination comes from a port that nobody can foretell, at an address that is known.
  const known = one.mapping === 'dependent' ? other : one;
  return known.filtering === 'address-port'
    ? 'one NAT maps ports per destination, and the other lets in only the exact address and port that was sent to'
    : null;
}

function withoutFamily(a: Kind, b: Kind): string {
  for (const kind of [a, b])
    if (kind.ip4 === null && kind.ip6 === null) return `no UDP leaves: ${kind.title}`;
  return 'one has UDP by IPv4 only and the other by IPv6 only';
}
