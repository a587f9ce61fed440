import type { StatusReport } from '@kith/protocol';

/** Packets that the kernel counted at a card: those that applications sent (Kith reads them), those that Kith wrote. */
export interface CardCounters {
  readonly sent: number;
  readonly received: number;
}

/** Counters of a node at one moment; the card was looked at right before and right after the status. */
export interface CounterSample {
  readonly instance: string;
  readonly before: CardCounters;
  readonly status: StatusReport;
  readonly after: CardCounters;
}

/** A super-frame that is being read or written is counted on one side already and not on the other; a batch has at most this many. */
const IN_FLIGHT = 64;

/** Levels, not counts, and shares: they may go down. Totals over the links that there are now go down with a link. */
const LEVELS = /^(learned_macs|members|held_frames|links_.*|peers.*|.*_level|.*_per_mille)$/;

/** What is wrong with a node's counters, in words. */
export function counterProblems(previous: CounterSample | undefined, now: CounterSample): string[] {
  return [...cardProblems(now), ...(previous === undefined ? [] : backwards(previous, now))];
}

/** What the kernel gave, Kith counted; what Kith wrote, the kernel counted. */
function cardProblems({ before, status, after }: CounterSample): string[] {
  const { tap } = status;
  if (tap === null || tap.state !== 'up') return [];
  // A card that was made anew in between.
  if (after.sent < before.sent || after.received < before.received) return [];
  const between = (what: string, low: number, value: number, high: number): string[] =>
    value >= low - IN_FLIGHT && value <= high + IN_FLIGHT
      ? []
      : [`${what}: the kernel counts ${low} to ${high}, Kith ${value}`];
  return [
    ...between('frames from applications', before.sent, tap.tx_frames, after.sent),
    ...between('frames to applications', before.received, tap.rx_frames, after.received),
  ];
}

function backwards(previous: CounterSample, now: CounterSample): string[] {
  if (previous.instance !== now.instance) return [];
  // A new controller counts from zero; tincan's own go on.
  const sameController = now.status.node.controller_uptime_ms >= previous.status.node.controller_uptime_ms;
  return Object.entries(previous.status.counters).flatMap(([name, before]) => {
    const after = now.status.counters[name];
    if (after === undefined || LEVELS.test(name)) return [];
    if (!sameController && after < before && !name.startsWith('tap_')) return [];
    return after < before ? [`counter ${name} went from ${before} back to ${after}`] : [];
  });
}

/** Reads a card from the text of /proc/net/dev; undefined when it is not there. */
export function cardCounters(netDev: string, card: string): CardCounters | undefined {
  const row = netDev.split('\n').find((line) => line.trim().startsWith(`${card}:`));
  // proc(5): eight columns of received, eight of transmitted, each beginning with bytes and packets.
  const columns = row?.split(':')[1]?.trim().split(/\s+/).map(Number);
  const [received, sent] = [columns?.[1], columns?.[9]];
  return received === undefined || sent === undefined ? undefined : { sent, received };
}
