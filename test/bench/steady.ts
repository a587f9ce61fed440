// Minutes of TCP traffic: does anything grow?
import { ALICE, carrierOf, measureTcp, startPair } from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { MemoryWatch } from './memory-watch.ts';
import { processesOf } from './node-processes.ts';

const SAMPLE_MS = 10_000;
/** Code is compiled and heaps find their size in the first minute; after it nothing may grow. */
const WARM_UP_S = 60;

await runBench({
  name: 'steady',
  options: { minutes: 10 },
  work: async ({ lab, options, channelOnly }) => {
    const { alice, bob } = await startPair(lab, channelOnly);
    const processes = await processesOf(alice, bob);
    const watch = new MemoryWatch(processes, SAMPLE_MS);
    try {
      const { mbps, retransmits } = await measureTcp(bob.host, alice.host, ALICE, options.minutes * 60);
      const carrier = await carrierOf(bob);
      const drift = watch.drift(WARM_UP_S);
      say(
        `${rounded(mbps)} Mbit/s, ${retransmits} retransmits, carrier ${carrier}; memory after the first minute:`,
      );
      table(
        ['process', 'first MB', 'last MB', 'min MB', 'max MB'],
        Object.entries(drift).map(([name, { first, last, min, max }]) => [name, first, last, min, max]),
      );
      return { mbps: rounded(mbps), retransmits, carrier, after_first_minute: drift };
    } finally {
      watch.stop();
    }
  },
});
