// Far more UDP than a link can carry, and a TCP connection beside it: queues must stay bounded and everything alive.
import { createInterface } from 'node:readline';
import { SystemError } from '@kith/base';
import { percentile } from '../bench-vpn/statistics.ts';
import { ALICE, BOB, carrierOf, type Host, isLinked, ping, startPair } from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { countersOf, losses } from './counters.ts';
import { MemoryWatch } from './memory-watch.ts';
import { processesOf } from './node-processes.ts';
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
    const listener = await listen(alice.host, ALICE);
    const watch = new MemoryWatch(processes, SAMPLE_MS);
    try {
      const rate = ['-u', '-b', `${options.mbps}M`, '-l', '1200'];
      const args = ['-c', ALICE, ...rate, '-t', String(options.seconds), '--connect-timeout', '5000'];
      const run = await bob.host.exec('iperf3', args, { timeoutMs: options.seconds * 1000 + 60_000 });
      const sent = rateOf(run.stdout, 'sender');
      const received = rateOf(run.stdout, 'receiver');
      // iperf3's last message may be among what is lost; that it never began is another thing.
      if (sent === null) throw new SystemError('IPERF3_FAILED', `iperf3: ${run.stdout}${run.stderr}`);
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

/** iperf3's server, ready. */
async function listen(host: Host, address: string): Promise<ReturnType<Host['spawn']>> {
  const listener = host.spawn('iperf3', ['-s', '-1', '-B', address, '--forceflush'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (listener.stdout !== null) {
    for await (const line of createInterface({ input: listener.stdout })) {
      if (line.includes('Server listening')) break;
    }
    listener.stdout.resume();
  }
  return listener;
}

/** The rate in the last line of one end in iperf3's report, in its own words; null when there is none. */
function rateOf(report: string, end: 'sender' | 'receiver'): string | null {
  return new RegExp(`([\\d.]+ [KMG]?bits/sec)[^\\n]*${end}`).exec(report)?.[1] ?? null;
}
