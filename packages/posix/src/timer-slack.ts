import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Threads of this process with this name (pthread_setname_np(3): 15 bytes at most), by their ids. */
export function threadsNamed(name: string): number[] {
  return readdirSync('/proc/self/task')
    .map(Number)
    .filter((thread) => isThreadNamed(thread, name));
}

/** Whether there is such a thread in this process, and it has that name. Much cheaper than to look for it among twenty. */
export function isThreadNamed(thread: number, name: string): boolean {
  try {
    return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trimEnd() === name;
  } catch {
    return false;
  }
}

/**
 * Lets the kernel wake a thread up to so much later than it asked (PR_SET_TIMERSLACK of prctl(2); proc(5), timerslack_ns): a thread that
 * sleeps for 10 ms again and again sleeps for longer then, or joins another's timer. 0 gives it its default again, 50 µs. False when the
 * kernel refuses, as it does for another thread than the caller's without CAP_SYS_NICE.
 */
export function setTimerSlack(thread: number, nanoseconds: number): boolean {
  try {
    // Under the thread's own number: the file is not below /proc/self/task.
    writeFileSync(`/proc/${thread}/timerslack_ns`, String(nanoseconds));
    return true;
  } catch {
    return false;
  }
}
