import { type Ip4, isHostOf, networkOf, parseIp4, parsePlainIp4, parseSubnet } from './address.ts';
import type { Problem } from './problem.ts';
import type { CheckedConfig } from './schema.ts';

interface Addresses {
  /** null: `auto`. */
  ip4: Ip4 | null;
  subnet: Ip4;
  /** Normal IPv4 addresses by bare JID in lower case. */
  friends: Record<string, string>;
}

/** Brings `ip4`, `subnet` and `friends` together; undefined when that was impossible, with the reasons added to `problems`. */
export function resolveAddresses(
  network: CheckedConfig['network'],
  problems: Problem[],
): Addresses | undefined {
  const ip4 = parseIp4(network.ip4) ?? null;
  const subnet =
    network.subnet === undefined ? (ip4 === null ? undefined : networkOf(ip4)) : parseSubnet(network.subnet);
  if (subnet === undefined) {
    problems.push({
      path: 'network.subnet',
      message: 'is needed when network.ip4 is "auto"; expected a network like "172.31.0.0/16"',
    });
    return undefined;
  }
  if (network.kind === 'social' && network.layer === 2) {
    const message =
      'is 2; expected 3 where network.kind is "social": private views have no broadcasts in common';
    problems.push({ path: 'network.layer', message });
  }
  const written = `${subnet.address}/${subnet.prefix_length}`;
  if (
    ip4 !== null &&
    (networkOf(ip4).address !== subnet.address || ip4.prefix_length !== subnet.prefix_length)
  ) {
    problems.push({
      path: 'network.ip4',
      message: `is "${network.ip4}", which is no host of network.subnet ${written} with its prefix length`,
    });
  }
  return { ip4, subnet, friends: resolveFriends(network, { ip4, subnet, written }, problems) };
}

function resolveFriends(
  network: CheckedConfig['network'],
  { ip4, subnet, written }: { ip4: Ip4 | null; subnet: Ip4; written: string },
  problems: Problem[],
): Record<string, string> {
  const friends: Record<string, string> = {};
  const taken = new Map<string, string>(ip4 === null ? [] : [[ip4.address, 'network.ip4']]);
  const entries = Object.entries(network.friends);
  if (entries.length > 0 && network.kind !== 'social') {
    problems.push({ path: 'network.friends', message: 'has a meaning only where network.kind is "social"' });
  }
  for (const [jid, text] of entries) {
    const path = `network.friends.${jid}`;
    const address = parsePlainIp4(text) ?? text;
    const owner = taken.get(address);
    if (!isHostOf(address, subnet)) {
      problems.push({ path, message: `is "${text}", which is no host address of ${written}` });
    } else if (owner !== undefined) {
      problems.push({ path, message: `is "${text}", which ${owner} has already` });
    }
    taken.set(address, path);
    // Nodeprep (RFC 6122 appendix A) folds case, so the roster holds names in lower case.
    friends[jid.toLowerCase()] = address;
  }
  return friends;
}
