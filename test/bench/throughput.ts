// One TCP stream over a link, and what it costs each process.
import { ALICE, carrierOf, measureTcp, startPair } from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { countersOf, losses } from './counters.ts';
import { processesOf, usageOfEach } from './node-processes.ts';

await runBench({
  name: 'throughput',
  options: { seconds: 10, runs: 3 },
  work: async ({ lab, options, channelOnly }) => {
    const { alice, bob } = await startPair(lab, channelOnly);
    const processes = await processesOf(alice, bob);
    const countersBefore = await countersOf(alice, bob);
    const runs: { mbps: number; retransmits: number; cpu_s: Record<string, number> }[] = [];
    for (let run = 1; run <= options.runs; run++) {
      const before = await usageOfEach(processes);
      const { mbps, retransmits } = await measureTcp(bob.host, alice.host, ALICE, options.seconds);
      const after = await usageOfEach(processes);
      const cpu = processes.map(({ name }, index) => [
        name,
        rounded((after[index]?.cpuSeconds ?? 0) - (before[index]?.cpuSeconds ?? 0), 2),
      ]);
      runs.push({ mbps: rounded(mbps), retransmits, cpu_s: Object.fromEntries(cpu) });
    }
    const carrier = await carrierOf(bob);
    // BBR fills a queue until it overflows and takes the losses; loss-based control sends a hundredth of the retransmits.
    const control = (await bob.host.run('cat', ['/proc/sys/net/ipv4/tcp_congestion_control'])).trim();
    say(`carrier: ${carrier}; TCP congestion control: ${control}`);
    table(
      ['Mbit/s', 'retransmits', ...processes.map(({ name }) => `${name} CPU s`)],
      runs.map(({ mbps, retransmits, cpu_s }) => [mbps, retransmits, ...Object.values(cpu_s)]),
    );
    const lost = losses(countersBefore, await countersOf(alice, bob));
    table(['counter', 'grew by'], Object.entries(lost));
    return { carrier, congestion_control: control, results: runs, counters: lost };
  },
});
