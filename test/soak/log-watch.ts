import { open } from 'node:fs/promises';
import { z } from 'zod';

/** pino's number for "error". */
const ERROR_LEVEL = 50;
/** Read in one go; a log that grows faster than this in a second is one to look at anyway. */
const CHUNK_BYTES = 1024 * 1024;

const line = z.object({
  level: z.number(),
  name: z.string().exactOptional(),
  msg: z.string().exactOptional(),
});

/**
 * Errors that follow from what the soak does: the supervisor says how a process ended that was killed. One that it killed itself because it
 * stood still is none of them, but for the library's own lock (ARCHITECTURE, "A trap that costs a process"), after which the links have to
 * come back in time like any others.
 */
const EXPECTED = [/^(tincan|controller) ended by SIGKILL(?!.*stood still)/];

/** Reads what is new in a node's log. */
export class LogWatch {
  readonly #path: string;
  #offset = 0;
  #rest = '';
  readonly counters = { lines: 0, warnings: 0 };

  constructor(path: string) {
    this.#path = path;
  }

  /** The lines at level error and above that nobody expects. */
  async unexpected(): Promise<string[]> {
    const found: string[] = [];
    for (const text of await this.#newLines()) {
      const entry = parsed(text);
      this.counters.lines++;
      // What is no line of the log's form is Node's own, from before a crash.
      if (entry === undefined) found.push(text);
      else if (entry.level >= ERROR_LEVEL && !EXPECTED.some((known) => known.test(entry.msg ?? ''))) {
        found.push(text);
      } else if (entry.level >= 40) this.counters.warnings++;
    }
    return found;
  }

  async #newLines(): Promise<string[]> {
    const file = await open(this.#path).catch(() => undefined);
    if (file === undefined) return [];
    try {
      // A new file took its place when it was full.
      if ((await file.stat()).size < this.#offset) this.#offset = 0;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, this.#offset);
      this.#offset += bytesRead;
      const lines = (this.#rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      this.#rest = lines.pop() ?? '';
      return lines.filter(Boolean);
    } finally {
      await file.close();
    }
  }
}

function parsed(text: string): z.output<typeof line> | undefined {
  try {
    return line.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
