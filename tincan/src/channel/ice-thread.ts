import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** As libjuice names the thread that serves all ICE agents of a process. */
const NAME = 'juice poll';

/** Nice value: who is woken with it runs at once and is not interrupted by the ordinary threads of a busy machine. */
const NICE = -10;

const TASKS = '/proc/self/task';

/** The process's threads, as Linux shows them (proc(5)). */
export interface ThreadList {
  ids(): readonly string[];
  /** Throws for one that has ended. */
  name(id: string): string;
  /** Throws where the machine forbids it. */
  setNice(id: string, nice: number): void;
}

const OWN_THREADS: ThreadList = {
  ids: () => readdirSync(TASKS),
  name: (id) => readFileSync(`${TASKS}/${id}/comm`, 'utf8').trimEnd(),
  // setpriority(2) takes a thread's id as well.
  setNice: (id, nice) => setPriority(Number(id), nice),
};

/**
 * Lets the library's ICE thread run before others. libdatachannel 0.24.5 locks itself up for good when that thread is interrupted in the
 * some 20 µs in which it starts DTLS over a TURN relay, and a worker thread takes up the ClientHello meanwhile (libdatachannel#1630, mended
 * after that release): each holds the lock that the other one waits for.
 */
export class IceThread {
  readonly #threads: ThreadList;
  #id: string | undefined;

  constructor(threads: ThreadList = OWN_THREADS) {
    this.#threads = threads;
  }

  /** To be called when a connection was made: the thread lives as long as there is any. What the machine refuses is left as it is. */
  hurry(): void {
    if (this.#id !== undefined && this.#isIce(this.#id)) return;
    this.#id = this.#threads.ids().find((id) => this.#isIce(id));
    if (this.#id === undefined) return;
    try {
      this.#threads.setNice(this.#id, NICE);
    } catch {
      // Without the right to it (CAP_SYS_NICE) the library works as it does elsewhere.
    }
  }

  #isIce(id: string): boolean {
    try {
      return this.#threads.name(id) === NAME;
    } catch {
      return false;
    }
  }
}
