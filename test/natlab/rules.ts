import type { Kind } from './kinds.mjs';

/** Cards of a router: towards the internet, and the bridge on which its hosts are. */
export const WAN = 'eth0';
export const LAN = 'lan';

/** RFC 8200 §5: what every IPv6 link must carry, and what PPPoE inside of something else leaves of 1500. */
export const SMALL_MTU = 1280;

/**
 * Rules for nft(8) that make a router of that kind out of a namespace that forwards. Linux itself keeps one outer port for all
 * destinations of a socket (RFC 4787 §4.1 endpoint-independent mapping) as long as ports are not randomised, and lets in only answers
 * (§5 address- and port-dependent filtering). What lets in more than that is told by `mapped`, which follows the packets that leave.
 */
export function routerRules(kind: Kind, wanIp4: string): string {
  return [
    'table inet filter {',
    chain('input', 'filter hook input priority filter', [
      // An unasked datagram that were accepted would be tracked, and so take the outer port from the host it was meant for.
      'meta l4proto udp drop',
    ]),
    chain('forward', 'filter hook forward priority filter; policy drop', forwarding(kind)),
    ...(kind.id === 'mtu-1280'
      ? [chain('output', 'filter hook output priority filter', ['icmp type destination-unreachable drop'])]
      : []),
    '}',
    ...(kind.ip4 === null && kind.ip6 !== null ? [] : natTable(kind, wanIp4)),
  ].join('\n');
}

/** The carrier's router in front of a home router: one outer port per socket, lets in answers only (RFC 6888). */
export function carrierRules(): string {
  return [
    'table inet filter {',
    chain('input', 'filter hook input priority filter', ['meta l4proto udp drop']),
    '}',
    'table ip nat {',
    chain('post', 'nat hook postrouting priority srcnat', [`oifname "${WAN}" masquerade`]),
    '}',
  ].join('\n');
}

function chain(name: string, type: string, rules: readonly string[]): string {
  return [`  chain ${name} {`, `    type ${type};`, ...rules.map((rule) => `    ${rule}`), '  }'].join('\n');
}

function forwarding(kind: Kind): string[] {
  const out = `iifname "${LAN}"`;
  if (kind.only443 === true) return ['ct state established accept', `${out} tcp dport 443 accept`];
  if (kind.id === 'udp-blocked')
    return ['meta l4proto udp drop', 'ct state established accept', `${out} accept`];
  // IPv4 leads nowhere, and nobody says so.
  if (kind.ip4 === null)
    return ['meta nfproto ipv4 drop', 'ct state established,related accept', `${out} accept`];
  const clamp = `tcp flags syn tcp option maxseg size set ${SMALL_MTU - 40}`;
  return [
    // Routers with a small MTU lower TCP's segment size, or no web page would load; UDP has no such helper.
    ...(kind.id === 'mtu-1280' ? [clamp] : []),
    `ct state established${kind.id === 'mtu-1280' ? '' : ',related'} accept`,
    'ct status dnat accept',
    `${out} oifname "${WAN}" accept`,
  ];
}

function natTable(kind: Kind, wanIp4: string): string[] {
  const leaves = `oifname "${WAN}"`;
  const learn = [
    `${leaves} meta l4proto udp update @mapped { udp sport : ct original ip saddr . ct original proto-src }`,
    ...(kind.ip4?.filtering === 'address'
      ? [`${leaves} meta l4proto udp update @spoken { ip daddr . udp sport }`]
      : []),
  ];
  const admit = admission(kind, wanIp4);
  // Without port randomisation the kernel gives a socket the outer port that it has already (nf_nat_core, find_appropriate_src).
  const random = kind.ip4?.mapping === 'dependent' ? ' fully-random' : '';
  return [
    'table ip nat {',
    ...(admit.length === 0
      ? []
      : [`  map mapped { type inet_service : ipv4_addr . inet_service; ${DYNAMIC} }`]),
    ...(kind.ip4?.filtering === 'address'
      ? [`  set spoken { type ipv4_addr . inet_service; ${DYNAMIC} }`]
      : []),
    chain('post', 'nat hook postrouting priority srcnat', [
      `${leaves} masquerade${random}`,
      // The turned-round datagram comes from the outer address too (RFC 4787 REQ-9).
      ...(kind.shared === 'hairpin' ? [`oifname "${LAN}" ct status dnat snat to ${wanIp4}`] : []),
    ]),
    ...(admit.length === 0
      ? []
      : [
          // Behind the translation, where the outer port is known.
          chain('learn', 'filter hook postrouting priority srcnat + 10', learn),
          chain('pre', 'nat hook prerouting priority dstnat', admit),
        ]),
    '}',
  ];
}

/** RFC 4787 REQ-5: a mapping lives for two minutes at least. */
const DYNAMIC = 'size 4096; flags dynamic,timeout; timeout 2m;';

/** Rules that let in to a known outer port what the kernel by itself would not. */
function admission(kind: Kind, wanIp4: string): string[] {
  const toMapped = 'dnat ip to udp dport map @mapped';
  if (kind.shared === 'hairpin') return [`iifname "${LAN}" ip daddr ${wanIp4} meta l4proto udp ${toMapped}`];
  if (kind.ip4?.filtering === 'independent') return [`iifname "${WAN}" meta l4proto udp ${toMapped}`];
  if (kind.ip4?.filtering === 'address') return [`iifname "${WAN}" ip saddr . udp dport @spoken ${toMapped}`];
  return [];
}
