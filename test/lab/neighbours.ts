import { HOST_INTERFACE, type Host } from './host.ts';

/**
 * Enters every host in the neighbour tables of all others, for good. The kernel counts the neighbours of all namespaces together and
 * keeps 1 024 of each family (gc_thresh3, ip-sysctl): some forty hosts that all talk to each other are more, and what is sent then
 * vanishes ("neighbor table overflow"). Forty machines have forty kernels. Permanent entries are not counted (`exempt_from_gc` in
 * net/core/neighbour.c).
 */
export async function introduce(hosts: readonly Host[]): Promise<void> {
  const cards = await Promise.all(
    hosts.map(async (host) => ({
      host,
      mac: (await host.run('cat', [`/sys/class/net/${HOST_INTERFACE}/address`])).trim(),
    })),
  );
  for (const { host } of cards) {
    const commands = cards
      .filter((other) => other.host !== host)
      .flatMap(({ host: { ip4, ip6 }, mac }) => [ip4, ip6].map((ip) => entry(ip, mac)));
    await host.run('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
  }
}

function entry(ip: string, mac: string): string {
  return `neigh replace ${ip} lladdr ${mac} dev ${HOST_INTERFACE} nud permanent`;
}
