import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** Where log lines go. A line has no newline at its end. */
export interface LogSink {
  line(text: string): void;
  close(): void;
}

/** Two files of this size hold days of a quiet network, or hours at level debug. */
const MAX_FILE_BYTES = 10 * 1024 * 1024;

/**
 * A log file of bounded size: when it is full it becomes FILE.1, and a new one begins. Lines that cannot be written (full disk) are
 * counted, and the count is logged as soon as a line goes through again.
 */
export class LogFile implements LogSink {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number;
  #bytes: number;
  #lost = 0;

  constructor(path: string, maxBytes: number = MAX_FILE_BYTES) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#fd = openLog(path);
    this.#bytes = fstatSync(this.#fd).size;
  }

  line(text: string): void {
    const bytes = Buffer.from(`${text}\n`);
    try {
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) this.#rotate();
      if (this.#lost > 0) {
        const note = Buffer.from(
          `${JSON.stringify({ level: 40, name: 'supervisor', lost_lines: this.#lost, msg: 'log lines were lost' })}\n`,
        );
        this.#write(note);
        this.#lost = 0;
      }
      this.#write(bytes);
    } catch {
      this.#lost++;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(bytes: Buffer): void {
    writeSync(this.#fd, bytes);
    this.#bytes += bytes.length;
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const full = this.#fd;
    this.#fd = openLog(this.#path);
    this.#bytes = 0;
    closeSync(full);
  }
}

/** Opens a log file to write at its end. Logs name members and servers, so they are for root alone. */
export function openLog(path: string): number {
  return openSync(path, 'a', 0o600);
}

/** Log lines to standard output, for a service manager or a terminal. */
export class LogToStdout implements LogSink {
  constructor() {
    // A reader that went away must not end the network.
    process.stdout.on('error', () => {});
  }

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  close(): void {
    // Standard output is not ours to close.
  }
}
