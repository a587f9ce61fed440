import { setTimeout as pause } from 'node:timers/promises';
import { describeError } from '@kith/base';
import type { Figures } from './metrics.ts';
import { usage } from './processes.ts';
import { percentile } from './statistics.ts';
import { type Course, roundTrips, tcp, udp } from './workload.ts';

export interface Measured {
  figures: Figures;
  /** What could not be measured, and why. */
  problems: string[];
}

/** TCP gets this long to open its window before pings are counted, and runs on as long behind them. */
const MARGIN_S = 1;
/** Each try of the search for the best rate offers 1.3 times what arrived so far, and lasts 0.4 of a measurement. */
const SEARCH_STEPS = 4;
const SEARCH_FACTOR = 1.3;
const SEARCH_SHARE = 0.4;
/** A gain below this is noise. */
const WORTH_ANOTHER = 1.05;
/** Time for queues to empty between two measurements. */
const REST_MS = 300;

/** Takes every figure of a system that is up, one after another. A measurement that fails leaves its figures out. */
export async function measure(course: Course, seconds: number): Promise<Measured> {
  const result: Measured = { figures: {}, problems: [] };
  const part = async (what: string, take: () => Promise<Figures>): Promise<void> => {
    try {
      Object.assign(result.figures, await take());
    } catch (error) {
      result.problems.push(`${what}: ${describeError(error)}`);
    }
    await pause(REST_MS);
  };
  await part('ping idle', () => idlePing(course, seconds));
  await part('TCP, 1 stream', () => oneStream(course, seconds));
  await part('TCP, 4 streams', async () => ({ tcp4_mbps: (await tcp(course, seconds, 4)).mbps }));
  await part('ping under load', () => loadedPing(course, seconds));
  await part('UDP, 1200 bytes', async () => ({ udp1200_pps: await mostUdp(course, seconds, 1200) }));
  await part('UDP, 64 bytes', async () => ({ udp64_pps: await mostUdp(course, seconds, 64) }));
  return result;
}

async function idlePing(course: Course, seconds: number): Promise<Figures> {
  const times = await roundTrips(course, seconds);
  return { ping_idle_p50_ms: percentile(times, 50), ping_idle_p99_ms: percentile(times, 99) };
}

async function oneStream(course: Course, seconds: number): Promise<Figures> {
  // Taken before iperf3 runs, which is none of the system.
  const [client, server] = await Promise.all([course.client.pids(), course.server.pids()]);
  const before = await usage([...client, ...server]);
  const { mbps, bytes, retransmits } = await tcp(course, seconds, 1);
  const after = await Promise.all([usage(client), usage(server)]);
  const cpuSeconds = after.reduce((sum, end) => sum + end.cpuSeconds, -before.cpuSeconds);
  return {
    tcp1_mbps: mbps,
    tcp1_retransmits: retransmits,
    cpu_s_per_gb: cpuSeconds / (bytes / 1e9),
    // The heavier of the two ends.
    rss_mb: Math.max(...after.map((end) => end.rssMegabytes)),
  };
}

async function loadedPing(course: Course, seconds: number): Promise<Figures> {
  const load = tcp(course, seconds + 2 * MARGIN_S, 1);
  // Its failure is reported below, when somebody waits for it.
  load.catch(() => undefined);
  await pause(MARGIN_S * 1000);
  const times = await roundTrips(course, seconds);
  await load;
  return { ping_load_p50_ms: percentile(times, 50), ping_load_p99_ms: percentile(times, 99) };
}

/**
 * The most datagrams per second that arrive: at full blast, or at a fixed rate when that brings more. A sender at full blast
 * takes CPU time from a VPN on the same cores and fills its queues, so that some deliver twice as much when they are sent less;
 * each system is given what suits it best.
 */
async function mostUdp(course: Course, seconds: number, length: number): Promise<number> {
  let best = (await udp(course, seconds, length, 0)).delivered;
  for (let step = 0; step < SEARCH_STEPS; step++) {
    const { delivered } = await udp(course, Math.ceil(seconds * SEARCH_SHARE), length, best * SEARCH_FACTOR);
    if (delivered < best * WORTH_ANOTHER) return Math.max(best, delivered);
    best = delivered;
  }
  return best;
}
