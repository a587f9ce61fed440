// What the translation of addresses costs on a direct link: the same data plane with and without it, in turn.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { usage } from '../bench-vpn/processes.ts';
import { ended, type Host, parseTcpRun, type TcpFigures } from '../lab/index.ts';
import { rounded, runBench, table } from './bench.ts';

const NODE = fileURLToPath(new URL('../../e2e/direct-node.mjs', import.meta.url));
/** By which bob knows alice, whatever she calls herself. */
const ALICE = '172.31.0.1';

type Run = TcpFigures & { cpuSeconds: number };

await runBench({
  name: 'translation',
  options: { seconds: 3, runs: 5 },
  work: async ({ lab, options }) => {
    const alice = await lab.host('alice');
    const bob = await lab.host('bob');
    const results = { layer3: [] as Run[], social: [] as Run[] };
    for (let run = 0; run < options.runs; run++) {
      for (const network of ['layer3', 'social'] as const) {
        results[network].push(await measure(alice, bob, network, options.seconds));
      }
    }
    const medians = Object.entries(results).map(([network, runs]) => ({
      network,
      mbps: rounded(median(runs.map(({ mbps }) => mbps))),
      cpuPerGb: rounded(
        median(runs.map(({ cpuSeconds, mbps, seconds }) => cpuSeconds / ((mbps * seconds) / 8e3))),
        3,
      ),
    }));
    table(
      ['network', 'Mbit/s', 'CPU s per GB, both ends'],
      medians.map(({ network, mbps, cpuPerGb }) => [network, mbps, cpuPerGb]),
    );
    const [plain, translated] = medians;
    return { medians, ratio: rounded((translated?.mbps ?? 0) / (plain?.mbps ?? 1), 3) };
  },
});

async function measure(alice: Host, bob: Host, network: string, seconds: number): Promise<Run> {
  const nodes = await Promise.all([start(alice, bob, 'a', network), start(bob, alice, 'b', network)]);
  const pids = nodes.flatMap(({ pid }) => pid ?? []);
  const server = alice.spawn('iperf3', ['-s', '-1', '--forceflush'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await firstLine(server);
    server.stdout?.resume();
    await bob.run('ping', ['-c', '2', '-i', '0.2', ALICE]);
    const before = (await usage(pids)).cpuSeconds;
    const options = { timeoutMs: seconds * 1000 + 30_000 };
    const client = await bob.run('iperf3', ['-c', ALICE, '-t', String(seconds), '-J'], options);
    return { ...parseTcpRun(client), cpuSeconds: (await usage(pids)).cpuSeconds - before };
  } finally {
    for (const child of [server, ...nodes]) {
      child.kill('SIGKILL');
      await ended(child);
    }
  }
}

async function start(host: Host, peer: Host, side: string, network: string): Promise<ChildProcess> {
  const argument = JSON.stringify({ side, peer: peer.ip4, mode: 'aes', network });
  const child = host.spawn(process.execPath, [NODE, argument], { stdio: ['pipe', 'pipe', 'inherit'] });
  await firstLine(child);
  child.stdout?.resume();
  return child;
}

async function firstLine(child: ChildProcess): Promise<void> {
  if (child.stdout !== null) await once(createInterface({ input: child.stdout }), 'line');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
