import { SystemError } from '@kith/base';

/** What `ping` measured; times in milliseconds, null when nothing was answered. */
export interface PingFigures {
  sent: number;
  received: number;
  rtt: { min: number; avg: number; max: number; mdev: number } | null;
}

const COUNTS = /^(\d+) packets transmitted, (\d+) received/m;
// Without replies this line is missing; iputils adds ", pipe n" behind it when replies were late.
const TIMES = /^rtt min\/avg\/max\/mdev = ([\d.]+)\/([\d.]+)\/([\d.]+)\/([\d.]+) ms/m;

/** Reads the summary that iputils' ping prints at its end; SystemError PING_OUTPUT when there is none. */
export function parsePing(output: string): PingFigures {
  const counts = COUNTS.exec(output);
  if (counts === null)
    throw new SystemError('PING_OUTPUT', `ping gave no summary: ${output.trim() || 'no output'}`);
  const times = TIMES.exec(output);
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    rtt:
      times === null
        ? null
        : { min: Number(times[1]), avg: Number(times[2]), max: Number(times[3]), mdev: Number(times[4]) },
  };
}
