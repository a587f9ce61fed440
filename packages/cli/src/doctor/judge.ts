import { BlockList } from 'node:net';
import type { NetworkView, StatusReport, UdpClass } from '@kith/protocol';
import { type Finding, fail, ok, warn } from './finding.ts';

/** RFC 8200 §5: the least that a network must carry for IPv6 to work. */
const LEAST_MTU = 1280;

/** Ethernet's; less costs throughput only. */
const USUAL_MTU = 1500;

const CLASS_WORDS: Record<UdpClass, string> = {
  open: 'servers see the address of the interface, no NAT',
  same: 'behind a NAT that maps to the same port for every destination',
  'per-destination': 'behind a NAT that maps ports per destination',
  nat: 'behind a NAT; one server answers, which does not tell how ports are mapped',
  silent: 'an address, but no STUN server answers by UDP',
  none: 'no address',
  unknown: 'not known',
};

/** How UDP leaves the machine, and what comes of it. */
export function judgeNetwork(view: NetworkView, by: string): Finding[] {
  const works = (udp: UdpClass) => udp !== 'none' && udp !== 'silent' && udp !== 'unknown';
  const words = `IPv4: ${CLASS_WORDS[view.ip4]}; IPv6: ${CLASS_WORDS[view.ip6]} (${by})`;
  if (view.ip4 === 'unknown' && view.ip6 === 'unknown') {
    return [warn('nat', words, 'name a STUN server (ice.stun), or let the hub name one (XEP-0215)')];
  }
  if (!works(view.ip4) && !works(view.ip6)) {
    return [fail('nat', words, 'UDP does not leave this network: links need a TURN server over TCP or TLS')];
  }
  if (view.ip4 === 'per-destination' && !works(view.ip6)) {
    const advice =
      'links to nodes behind most other NATs are relayed: allow UPnP or PCP in the router, or use IPv6';
    return [warn('nat', words, advice)];
  }
  if (view.ip4 === 'silent') {
    return [warn('nat', words, 'IPv4 is broken or blocked here; links to nodes without IPv6 are relayed')];
  }
  return [ok('nat', words)];
}

/** What the running network says of hub, TAP and port mapping. */
export function judgeStatus(report: StatusReport): Finding[] {
  const findings: Finding[] = [];
  const { tap, tincan, direct } = report;
  if (!tincan.running) {
    findings.push(
      fail(
        'tincan',
        tincan.detail ?? 'it does not answer',
        'look into the log; kith down and kith up start it anew',
      ),
    );
  }
  if (tap !== null) {
    const words = `${tap.name} is ${tap.state}, mtu ${tap.mtu}`;
    findings.push(
      tap.state === 'up' ? ok('tap', words) : fail('tap', words, 'kith down and kith up make it anew'),
    );
  }
  if (direct !== undefined) {
    const { state, address, detail } = direct.port_mapping;
    const where = address === null ? '' : `, ${address}`;
    const words = `${state}${where}${detail === null ? '' : `: ${detail}`}`;
    // None is what most networks have; it matters only where the NAT is a bad one, which another check tells.
    findings.push(ok('port-mapping', words));
  }
  const lost = report.links.filter(({ state }) => state === 'connecting' || state === 'refused');
  for (const link of lost) {
    findings.push(
      warn(
        'link',
        `${link.name}: ${link.why_path ?? link.detail ?? link.state}`,
        `kith status ${link.name} tells its story`,
      ),
    );
  }
  findings.push(...judgeLayers(report));
  return findings;
}

function judgeLayers({ node, links }: StatusReport): Finding[] {
  const others = links.filter(
    ({ state, layer }) =>
      state === 'online' && typeof layer === 'number' && node.layer !== undefined && layer !== node.layer,
  );
  return others.map(({ name, layer }) =>
    warn(
      'layer',
      `${name} runs layer ${layer}, this node layer ${node.layer}: only IP packets pass between the two, no broadcasts`,
      'give all configs of the network the same network.layer',
    ),
  );
}

/** @param mtu bytes that the interface carries in one packet */
export function judgeMtu(device: string, mtu: number): Finding {
  const words = `${device}, the way out, carries ${mtu} bytes`;
  if (mtu < LEAST_MTU)
    return fail('mtu', words, `at least ${LEAST_MTU} are needed: ip link set ${device} mtu ${USUAL_MTU}`);
  return ok('mtu', words);
}

export interface InterfaceAddress {
  device: string;
  ip: string;
}

/** Whether other interfaces have addresses of the network. */
export function judgeOverlap(
  own: string,
  { address, prefix_length }: { address: string; prefix_length: number },
  addresses: readonly InterfaceAddress[],
): Finding {
  const range = new BlockList();
  range.addSubnet(address, prefix_length);
  const inside = addresses.filter(({ device, ip }) => device !== own && !ip.includes(':') && range.check(ip));
  const text = `${address}/${prefix_length}`;
  if (inside.length === 0) return ok('addresses', `no other interface has an address of ${text}`);
  const who = inside.map(({ device, ip }) => `${device} has ${ip}`).join(', ');
  return fail(
    'addresses',
    `${who}, which is of this network's ${text}`,
    'give the network another subnet (network.ip4, network.subnet)',
  );
}

/** Credentials that were just made end in the future, if both clocks agree. Times in ms since the epoch. */
export function judgeClock(expires: readonly number[], now: number): Finding {
  const soonest = Math.min(...expires);
  const date = new Date(now).toISOString().slice(0, 19);
  if (!Number.isFinite(soonest)) return ok('clock', `${date}Z; the hub's certificate is valid at that time`);
  if (soonest > now) return ok('clock', `${date}Z; what the hub gave just now ends later, as it should`);
  const late = Math.round((now - soonest) / 1000);
  return fail(
    'clock',
    `${date}Z; what the hub gave just now ended ${late} s ago`,
    'set the clock of this machine or of the hub (NTP)',
  );
}
