import { z } from 'zod';
import type { Host } from '../lab/index.ts';

/** Bytes of IP packets in both directions at the hub's card. */
export interface HubTraffic {
  signalling: number;
  stun: number;
}

const rules = z.object({
  nftables: z.array(z.object({ counter: z.object({ name: z.string(), bytes: z.number() }).exactOptional() })),
});

/** Lets the hub's host count from now on; the result reads what was counted so far. */
export async function countHubTraffic(
  hub: Host,
  xmppPort: number,
  stunPort: number,
): Promise<() => Promise<HubTraffic>> {
  await hub.run('nft', ['-f', '-'], {
    input: `table inet bench {
  counter signalling { }
  counter stun { }
  chain input {
    type filter hook input priority filter;
    tcp dport ${xmppPort} counter name signalling
    udp dport ${stunPort} counter name stun
  }
  chain output {
    type filter hook output priority filter;
    tcp sport ${xmppPort} counter name signalling
    udp sport ${stunPort} counter name stun
  }
}
`,
  });
  return async () => {
    const text = await hub.run('nft', ['-j', 'list', 'counters', 'table', 'inet', 'bench']);
    const counted = rules.parse(JSON.parse(text)).nftables.flatMap(({ counter }) => counter ?? []);
    const bytes = (name: string): number => counted.find((counter) => counter.name === name)?.bytes ?? 0;
    return { signalling: bytes('signalling'), stun: bytes('stun') };
  };
}
