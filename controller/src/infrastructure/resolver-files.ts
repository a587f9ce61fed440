import { isIP } from 'node:net';

/** resolv.conf(5): MAXNS; more are ignored. */
const MAX_NAMESERVERS = 3;

/** The name servers of the text of /etc/resolv.conf. resolv.conf(5): without any, the machine itself is asked. */
export function nameservers(text: string): string[] {
  const found = text.split('\n').flatMap((line) => {
    const server = /^nameserver[ \t]+(\S+)/.exec(line)?.[1]?.replace(/%.*$/, '');
    return server !== undefined && isIP(server) !== 0 ? [server] : [];
  });
  return found.length === 0 ? ['127.0.0.1'] : found.slice(0, MAX_NAMESERVERS);
}

/** What the text of /etc/hosts says of a name, hosts(5). */
export function hostsEntries(text: string, name: string): string[] {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return isIP(address) !== 0 && names.some((known) => known.toLowerCase() === wanted) ? [address] : [];
  });
}
