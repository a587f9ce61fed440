import { readFile } from 'node:fs/promises';
import { run } from '../lab/index.ts';

/** What processes have used: CPU time since they started, and the memory that they hold now. */
export interface Usage {
  cpuSeconds: number;
  rssMegabytes: number;
}

// Columns of /proc/PID/stat (proc(5)), counted behind the command's closing parenthesis: utime, stime, cutime, cstime.
const TIMES = [11, 12, 13, 14];

let ticksPerSecond: Promise<number> | undefined;

/** The sum over processes; those that have ended count nothing. Children that they waited for are included. */
export async function usage(pids: readonly number[]): Promise<Usage> {
  ticksPerSecond ??= run('getconf', ['CLK_TCK']).then(Number);
  const perSecond = await ticksPerSecond;
  const each = await Promise.all(pids.map(usageOf));
  return {
    cpuSeconds: sum(each.map(({ ticks }) => ticks)) / perSecond,
    // VmRSS is in KiB; a megabyte is 10^6 bytes.
    rssMegabytes: (sum(each.map(({ kibibytes }) => kibibytes)) * 1024) / 1e6,
  };
}

async function usageOf(pid: number): Promise<{ ticks: number; kibibytes: number }> {
  const [stat, status] = await Promise.all(
    ['stat', 'status'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
  );
  // A command's name may contain anything, spaces and parentheses too.
  const columns = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return {
    ticks: sum(TIMES.map((column) => Number(columns[column] ?? 0))),
    kibibytes: Number(/^VmRSS:\s*(\d+) kB$/m.exec(status ?? '')?.[1] ?? 0),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
