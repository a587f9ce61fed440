import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '@kith/base';
import { ended } from './command.ts';
import type { Host } from './host.ts';
import { parseTcpRun, type TcpFigures } from './iperf3.ts';
import { type PingFigures, parsePing } from './ping.ts';

export interface PingOptions {
  count: number;
  intervalMs: number;
  /** How long to wait for the last reply. Default 1000. */
  patienceMs?: number;
}

/** Pings `address` from a host. No reply at all is a result (received 0), a missing route too. */
export async function ping(from: Host, address: string, options: PingOptions): Promise<PingFigures> {
  const { count, intervalMs, patienceMs = 1000 } = options;
  const result = await from.exec(
    'ping',
    [
      '-n',
      '-q',
      '-c',
      String(count),
      '-i',
      String(intervalMs / 1000),
      '-W',
      String(patienceMs / 1000),
      address,
    ],
    // ping's own end, and time for a loaded machine to notice it.
    { timeoutMs: count * intervalMs + patienceMs + 20_000 },
  );
  // 2 is ping's exit code for errors of its own; without a route it never sends and prints no summary.
  if (result.code === 2 && result.stderr.includes('unreachable')) return { sent: 0, received: 0, rtt: null };
  return parsePing(result.stdout + result.stderr);
}

// The grain of the measurement: a ping leaves every 20 ms, and while ARP is unanswered it is asked again as often.
const GRAIN_MS = 20;

/**
 * Pings `address` through `interfaceName`, which need not exist yet, until the first reply, and returns when that came
 * (performance.now()). SystemError NO_REPLY after `timeoutMs`.
 *
 * Left alone the kernel repeats an unanswered ARP request only once a second (neigh retrans_time_ms), so a ping that
 * started just too early would measure that second instead of the link; here it asks every 20 ms.
 */
export async function firstReply(
  from: Host,
  interfaceName: string,
  address: string,
  timeoutMs: number,
): Promise<number> {
  const retransmission = `/proc/sys/net/ipv4/neigh/${interfaceName}/retrans_time_ms`;
  const script = `[ -e ${retransmission} ] && echo ${GRAIN_MS} > ${retransmission} && exec ping -n -i ${GRAIN_MS / 1000} ${address}`;
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const child = from.spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    // ping ends by itself at once when there is no interface or no address yet; then it is tried again.
    const timer = setTimeout(() => child.kill('SIGKILL'), deadline - performance.now());
    const at = await lineWith(child, 'bytes from');
    clearTimeout(timer);
    child.kill('SIGKILL');
    await ended(child);
    if (at !== undefined) return at;
    await pause(GRAIN_MS);
  }
  throw new SystemError('NO_REPLY', `${from.name}: no reply from ${address} after ${timeoutMs} ms`);
}

/** One TCP stream from `client` to `server` at the server's `address`, for so many seconds. */
export async function measureTcp(
  client: Host,
  server: Host,
  address: string,
  seconds: number,
): Promise<TcpFigures> {
  const listener = server.spawn('iperf3', ['-s', '-1', '-B', address, '--forceflush'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    if ((await lineWith(listener, 'Server listening')) === undefined) {
      throw new SystemError('IPERF3_FAILED', `iperf3 cannot listen on ${address} at ${server.name}`);
    }
    listener.stdout?.resume();
    const result = await client.exec('iperf3', ['-c', address, '-t', String(seconds), '-J'], {
      // Connecting, and the result's way back, when the link under test is at its limit.
      timeoutMs: seconds * 1000 + 30_000,
    });
    return parseTcpRun(result.stdout);
  } finally {
    listener.kill('SIGKILL');
    await ended(listener);
  }
}

/** When a line with `text` came from the child's standard output, or undefined when that ended without it. */
async function lineWith(child: ChildProcess, text: string): Promise<number | undefined> {
  if (child.stdout === null) return undefined;
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    if (line.includes(text)) return performance.now();
  }
  return undefined;
}
