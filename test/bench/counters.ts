import type { KithNode } from '../lab/index.ts';

/** All counters of some nodes, each headed by its node's name. */
export async function countersOf(...nodes: readonly KithNode[]): Promise<Map<string, number>> {
  const all = new Map<string, number>();
  for (const node of nodes) {
    for (const [name, value] of Object.entries((await node.status()).counters)) {
      all.set(`${node.host.name} ${name}`, value);
    }
  }
  return all;
}

/** Those that tell of losses and of links that came and went, by how much each grew. */
export function losses(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  const isOfInterest = (name: string): boolean =>
    /drop|malformed|refused|links_(opened|closed)|timeout|lost/.test(name);
  return Object.fromEntries(
    [...after]
      .map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
      .filter(([name, grown]) => grown !== 0 && isOfInterest(name)),
  );
}
