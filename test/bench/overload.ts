// Far more UDP than a link can carry, both ways of a TCP connection beside it: queues must stay bounded and everything alive.
import { percentile } from '../bench-vpn/statistics.ts';
import { ping } from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { countersOf, losses } from './counters.ts';
import { MemoryWatch } from './memory-watch.ts';
import { processesOf } from './node-processes.ts';
import { ALICE, BOB, carrierOf, isLinked, startPair } from './pair.ts';
import { TcpPinger } from './tcp-pinger.ts';

const SAMPLE_MS = 5_000;
const AFTER_PINGS = 20;

await runBench({
  name: 'overload',
  options: { seconds: 60, mbps: 5_000 },
  work: async ({ lab, options, channelOnly }) => {
    const { alice, bob } = await startPair(lab, channelOnly);
    const processes = await processesOf(alice, bob);
    const before = await countersOf(alice, bob);
    const pinger = await TcpPinger.start(alice.host, bob.host, BOB);
    const listener = alice.host.spawn('iperf3', ['-s', '-1', '-B', ALICE], { stdio: 'ignore' });
    const watch = new MemoryWatch(processes, SAMPLE_MS);
    try {
      const rate = ['-u', '-b', `${options.mbps}M`, '-l', '1200'];
      const args = ['-c', ALICE, ...rate, '-t', String(options.seconds), '--connect-timeout', '5000'];
      const run = await bob.host.exec('iperf3', args, { timeoutMs: options.seconds * 1000 + 60_000 });
      // iperf3's own last message may be among what is lost: its exit code is told, and is no failure of the link.
      const sent = /([\d.]+ [MG]bits\/sec)[^\n]*sender/.exec(run.stdout)?.[1] ?? 'unknown';
      const received = /([\d.]+ [KMG]?bits\/sec)[^\n]*receiver/.exec(run.stdout)?.[1] ?? 'unknown';
      const isTcpAlive = pinger.isAlive;
      const carrier = await carrierOf(bob);
      const pingsAfter = await ping(bob.host, ALICE, { count: AFTER_PINGS, intervalMs: 50 });
      const samePids = (await processesOf(alice, bob)).every(
        ({ pid }, index) => processes[index]?.pid === pid,
      );
      const stillLinked = isLinked(await alice.status()) && isLinked(await bob.status());
      const grown = losses(before, await countersOf(alice, bob));
      const times = pinger.times;
      say(`carrier ${carrier}; sent ${sent}, received ${received}`);
      say(
        `TCP round trips beside it: ${times.length}, p50 ${rounded(percentile(times, 50))} ms, p99 ${rounded(percentile(times, 99))} ms`,
      );
      table(['counter', 'grew by'], Object.entries(grown));
      return {
        carrier,
        sent,
        received,
        iperf3_exit: run.code,
        tcp_alive: isTcpAlive,
        tcp_round_trips: times.length,
        tcp_p50_ms: rounded(percentile(times, 50)),
        tcp_p99_ms: rounded(percentile(times, 99)),
        tcp_max_ms: rounded(Math.max(...times)),
        pings_answered_after: `${pingsAfter.received}/${AFTER_PINGS}`,
        no_process_restarted: samePids,
        links_alive: stillLinked,
        memory: watch.drift(0),
        counters: grown,
      };
    } finally {
      watch.stop();
      listener.kill('SIGKILL');
      await pinger.stop();
    }
  },
});
