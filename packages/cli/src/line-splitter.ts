import { StringDecoder } from 'node:string_decoder';

/** Longest log line that is kept whole; a longer one is cut, so that a process that never ends its line cannot fill the memory. */
const MAX_LINE_CHARS = 16_384;

/** Cuts a byte stream into lines of bounded length. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #cutting = false;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#emit(line);
    if (this.#rest.length > MAX_LINE_CHARS) {
      this.#emit(this.#rest);
      this.#rest = '';
      this.#cutting = true;
    }
  }

  /** The stream has ended; what stands after the last newline is a line too. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    if (rest !== '') this.#emit(rest);
  }

  #emit(line: string): void {
    // The rest of a line whose beginning was given already.
    if (this.#cutting) {
      this.#cutting = false;
      return;
    }
    if (line === '') return;
    this.#onLine(line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS)}…` : line);
  }
}
