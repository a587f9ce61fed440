// The kinds of network that the NAT lab builds, in the words of RFC 4787 §4 and §5 (RFC 5780 §3 tells how they are found out).
// Plain JavaScript, since scripts/natlab.mjs names them before anything is built.

/**
 * How a network treats UDP from within. `mapping`: whether the outer port of a socket is the same for every destination, or another
 * one for each. `filtering`: whom the router lets in to a socket that has sent something.
 * @typedef {{ mapping: 'none' | 'independent' | 'dependent', filtering: 'independent' | 'address' | 'address-port' }} Udp
 */

/**
 * @typedef {object} Kind
 * @property {string} id
 * @property {string} title
 * @property {Udp | null} ip4 null: no UDP by IPv4
 * @property {Udp | null} ip6
 * @property {boolean} [only443] TCP to port 443 is all that gets out
 * @property {'lan' | 'hairpin' | 'no-hairpin'} [shared] both hosts of the cell are behind one router of this kind
 */

/** @type {Udp} */
const OPEN = { mapping: 'none', filtering: 'independent' };
/** @type {Udp} */
const PORT_RESTRICTED = { mapping: 'independent', filtering: 'address-port' };
/** @type {Udp} */
const SYMMETRIC = { mapping: 'dependent', filtering: 'address-port' };
/** A firewall without NAT, as IPv6 routers are. @type {Udp} */
const FIREWALL = { mapping: 'none', filtering: 'address-port' };

/** @type {readonly Kind[]} */
export const KINDS = [
  { id: 'none', title: 'no NAT', ip4: OPEN, ip6: OPEN },
  {
    id: 'full-cone',
    title: 'full cone',
    ip4: { mapping: 'independent', filtering: 'independent' },
    ip6: null,
  },
  {
    id: 'address-restricted',
    title: 'address-restricted cone',
    ip4: { mapping: 'independent', filtering: 'address' },
    ip6: null,
  },
  { id: 'port-restricted', title: 'port-restricted cone', ip4: PORT_RESTRICTED, ip6: null },
  { id: 'symmetric', title: 'symmetric, random ports', ip4: SYMMETRIC, ip6: null },
  { id: 'cgnat', title: 'symmetric behind a second NAT', ip4: SYMMETRIC, ip6: null },
  { id: 'udp-blocked', title: 'UDP blocked', ip4: null, ip6: null },
  { id: 'tcp-443', title: 'only TCP 443 out', ip4: null, ip6: null, only443: true },
  { id: 'ipv6-only', title: 'IPv6 only', ip4: null, ip6: FIREWALL },
  { id: 'ipv4-broken', title: 'IPv6, and an IPv4 that leads nowhere', ip4: null, ip6: FIREWALL },
  { id: 'mtu-1280', title: 'MTU 1280, ICMP dropped', ip4: PORT_RESTRICTED, ip6: null },
  { id: 'same-nat', title: 'both behind one NAT', ip4: PORT_RESTRICTED, ip6: null, shared: 'lan' },
  {
    id: 'same-nat-hairpin',
    title: 'both behind one NAT, kept apart, hairpinning',
    ip4: PORT_RESTRICTED,
    ip6: null,
    shared: 'hairpin',
  },
  {
    id: 'same-nat-no-hairpin',
    title: 'both behind one NAT, kept apart, no hairpinning',
    ip4: PORT_RESTRICTED,
    ip6: null,
    shared: 'no-hairpin',
  },
];

/**
 * The kind of that name; RangeError for one that is not there.
 * @param {string} id
 * @returns {Kind}
 */
export function kindNamed(id) {
  const found = KINDS.find((kind) => kind.id === id);
  if (found === undefined) throw new RangeError(`there is no kind ${id} of network`);
  return found;
}

/**
 * Every cell of the grid: each pair of kinds once, and each kind of shared router alone.
 * @returns {{ a: Kind, b: Kind }[]}
 */
export function allCells() {
  return KINDS.flatMap((a, index) =>
    a.shared === undefined
      ? KINDS.slice(index).flatMap((b) => (b.shared === undefined ? [{ a, b }] : []))
      : [{ a, b: a }],
  );
}
