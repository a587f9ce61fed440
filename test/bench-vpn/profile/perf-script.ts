import { scriptName } from './script-name.ts';
import type { CodeKind, Frame } from './stack-tree.ts';

/** A sample of `perf script -F comm,pid,tid,ip,sym,dso`: frames from the outermost caller inwards. */
export interface PerfSample {
  readonly command: string;
  readonly pid: number;
  readonly tid: number;
  readonly stack: readonly Frame[];
}

const HEAD = /^(\S.*?)\s+(\d+)\/(\d+)\s*$/;
const LINE = /^\s+[0-9a-f]+ (.*) \((.*)\)$/;

/** Puts samples together from perf's output, line by line; an empty line ends one. Lines of another form are passed over. */
export class PerfReader {
  readonly #take: (sample: PerfSample) => void;
  #head: { command: string; pid: number; tid: number } | undefined;
  #stack: Frame[] = [];

  constructor(take: (sample: PerfSample) => void) {
    this.#take = take;
  }

  line(text: string): void {
    const head = HEAD.exec(text);
    const frame = LINE.exec(text);
    if (frame !== null) this.#stack.push(toFrame(frame[1] ?? '', frame[2] ?? ''));
    else if (head !== null) {
      this.end();
      this.#head = { command: head[1] ?? '', pid: Number(head[2]), tid: Number(head[3]) };
    } else if (text === '') this.end();
  }

  /** Gives out the sample that no empty line followed. */
  end(): void {
    if (this.#head !== undefined) this.#take({ ...this.#head, stack: this.#stack.toReversed() });
    this.#head = undefined;
    this.#stack = [];
  }
}

function toFrame(symbol: string, object: string): Frame {
  const kind = kindOf(object);
  if (kind === 'script') return { name: scriptName(symbol), kind };
  // What has no symbol is told apart by where it is.
  const name = symbol === '[unknown]' ? `[${object.split('/').at(-1)}]` : symbol;
  return { name, kind };
}

function kindOf(object: string): CodeKind {
  if (object.startsWith('[kernel') || object.endsWith('.ko') || object === '[guest.kernel.kallsyms]')
    return 'kernel';
  return /\/perf-\d+\.map$/.test(object) ? 'script' : 'native';
}
