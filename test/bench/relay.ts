// One TCP stream over a relayed link: sealed datagrams of the direct carrier by TURN against the data channel (`--channel`) by the same
// TURN server, which both ends reach by `--transport`.
import {
  ALICE,
  BOB,
  carrierOf,
  type Ejabberd,
  type Host,
  makePair,
  measureTcp,
  untilLinked,
} from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';

/** A relayed link is on its carrier within seconds; past this the bench has failed. */
const SETTLE_MS = 30_000;

await runBench({
  name: 'relay',
  options: { seconds: 5, runs: 3 },
  choices: { transport: ['udp', 'tcp', 'tls'] },
  work: async ({ lab, options, chosen, channelOnly }) => {
    const { hub, alice, bob } = await makePair(lab, channelOnly);
    for (const node of [alice, bob]) {
      const peers = [alice, bob].filter((other) => other !== node).map(({ host }) => host);
      const passing = chosen.transport === 'udp' ? byUdp(peers) : byStream(chosen.transport, hub);
      const rules = `table inet apart {\n chain output {\n type filter hook output priority 0\n ${passing.join('\n ')}\n }\n}\n`;
      await node.host.run('nft', ['-f', '-'], { input: rules });
    }
    await Promise.all([alice.up(), bob.up()]);
    await untilLinked({ hub, alice, bob });
    const wanted = channelOnly ? 'channel' : 'direct';
    await Promise.all(
      [alice, bob].map((node) =>
        node.waitUntil(wanted, (status) => status.links[0]?.carrier === wanted, SETTLE_MS),
      ),
    );
    const runs: { mbps: number; retransmits: number }[] = [];
    for (let run = 1; run <= options.runs; run++) {
      const towards = run % 2 === 1 ? { from: bob, to: alice, ip: ALICE } : { from: alice, to: bob, ip: BOB };
      const { mbps, retransmits } = await measureTcp(
        towards.from.host,
        towards.to.host,
        towards.ip,
        options.seconds,
      );
      runs.push({ mbps: rounded(mbps), retransmits });
    }
    const paths = [await carrierOf(alice), await carrierOf(bob)];
    say(`alice: ${paths[0]}; bob: ${paths[1]}`);
    table(
      ['Mbit/s', 'retransmits'],
      runs.map(({ mbps, retransmits }) => [mbps, retransmits]),
    );
    return { paths, results: runs };
  },
});

/** UDP reaches the hub and nobody else; what the hub relays comes from its own address. */
function byUdp(peers: readonly Host[]): string[] {
  return peers.flatMap(({ ip4, ip6 }) => [
    `ip daddr ${ip4} meta l4proto udp drop`,
    `ip6 daddr ${ip6} meta l4proto udp drop`,
  ]);
}

/** No UDP leaves the host, and of the hub's TURN ports one answers. */
function byStream(transport: string | undefined, { ports }: Ejabberd): string[] {
  const shut = transport === 'tcp' ? ports.turns : ports.stun;
  return ['oifname "lo" accept', 'meta l4proto udp drop', `tcp dport ${shut} drop`];
}
