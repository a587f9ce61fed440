import { readFileSync } from 'node:fs';

/**
 * When a process was started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). Together with the pid it names one
 * process for good, while a pid alone may be given to a stranger. Undefined when there is no such process, or only its zombie.
 */
export function startTimeOf(pid: number): number | undefined {
  try {
    return parseStartTime(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Reads field 22 of a /proc/PID/stat line; undefined for a zombie or a line that is none. */
export function parseStartTime(stat: string): number | undefined {
  // Field 2 is the program's name in brackets, and may hold blanks and brackets itself; so count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[19];
  if (state === 'Z' || state === 'X' || startTime === undefined || !/^\d+$/.test(startTime)) return undefined;
  return Number(startTime);
}
