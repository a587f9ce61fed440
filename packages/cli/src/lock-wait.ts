import { readFileSync } from 'node:fs';

/**
 * How often the first thread of a process has given up its CPU by itself, while it waits for a lock (a futex, proc(5) wchan); undefined: it
 * does something else, or the machine does not say. The same number at two looks means that it has waited all the time between them, which
 * an event loop never does.
 */
export function lockWait(pid: number): string | undefined {
  const thread = `/proc/${pid}/task/${pid}`;
  try {
    if (!readFileSync(`${thread}/wchan`, 'utf8').startsWith('futex')) return undefined;
    return /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(readFileSync(`${thread}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
