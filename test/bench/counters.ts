import { type KithNode, OVERLAY_INTERFACE } from '../lab/index.ts';

// What the kernel's own queue before the TAP device drops is not Kith's to count, but belongs to the whole.
const TAP_DROPS = `/sys/class/net/${OVERLAY_INTERFACE}/statistics/tx_dropped`;

/** All counters of some nodes, and the drops before their TAP devices, each headed by its node's name. */
export async function countersOf(...nodes: readonly KithNode[]): Promise<Map<string, number>> {
  const all = new Map<string, number>();
  for (const node of nodes) {
    for (const [name, value] of Object.entries((await node.status()).counters)) {
      all.set(`${node.host.name} ${name}`, value);
    }
    all.set(`${node.host.name} kernel dropped before TAP`, Number(await node.host.run('cat', [TAP_DROPS])));
  }
  return all;
}

/** Those that tell of losses and of links that came and went, by how much each grew. */
export function losses(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  const isOfInterest = (name: string): boolean =>
    /drop|overflow|malformed|refused|links_(opened|closed)|timeout|lost/.test(name);
  return Object.fromEntries(
    [...after]
      .map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
      .filter(([name, grown]) => grown !== 0 && isOfInterest(name)),
  );
}
