import { ConfigError } from '@kith/base';

/** Deepest nesting that is read; our schema needs four, and the bound keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 32;

const WHITESPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// RFC 8259 §7: control characters must be escaped, and only these escapes exist.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the grammar names them.
const STRING_BODY = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
const LITERAL = /true|false|null/y;

interface Fault {
  readonly offset: number;
  readonly message: string;
}

/**
 * Reads JSON text. Written beside JSON.parse because V8's own messages quote the text around the fault (a password may stand
 * there), mostly without a position, and because JSON.parse lets the second of two equal keys win in silence.
 * Throws ConfigError CONFIG_SYNTAX with `file:line:column`.
 */
export function parseJson(text: string, file: string): unknown {
  // An editor's byte order mark is no fault of the person who wrote the config.
  const body = text.startsWith('\ufeff') ? text.slice(1) : text;
  const fault = new Scanner(body).fault();
  if (fault !== undefined) {
    const before = body.slice(0, fault.offset);
    const line = before.split('\n').length;
    const column = fault.offset - (before.lastIndexOf('\n') + 1) + 1;
    throw new ConfigError('CONFIG_SYNTAX', `${file}:${line}:${column}: not valid JSON: ${fault.message}`, {
      field: '(file)',
    });
  }
  return JSON.parse(body);
}

class Stop extends Error {
  readonly fault: Fault;
  constructor(offset: number, message: string) {
    super(message);
    this.fault = { offset, message };
  }
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  fault(): Fault | undefined {
    try {
      this.#value(0);
      this.#match(WHITESPACE);
      if (this.#at < this.#text.length) this.#stop('nothing more may follow the closing brace');
      return undefined;
    } catch (error) {
      if (error instanceof Stop) return error.fault;
      throw error;
    }
  }

  #stop(message: string, offset = this.#at): never {
    throw new Stop(offset, offset >= this.#text.length ? `the file ends too early: ${message}` : message);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #next(character: string): boolean {
    this.#match(WHITESPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #value(depth: number): void {
    if (depth > MAX_DEPTH) this.#stop(`nested deeper than ${MAX_DEPTH} levels`);
    if (this.#next('{')) this.#object(depth);
    else if (this.#next('[')) this.#list(depth);
    else if (this.#next('"')) this.#string();
    else if (this.#match(LITERAL) === undefined && this.#match(NUMBER) === undefined) {
      const comment = this.#text.startsWith('//', this.#at) || this.#text.startsWith('/*', this.#at);
      this.#stop(comment ? 'JSON has no comments' : 'expected a value');
    }
  }

  #object(depth: number): void {
    const keys = new Set<string>();
    if (this.#next('}')) return;
    do {
      const offset = this.#skip();
      if (!this.#next('"')) {
        const trailing = this.#text[this.#at] === '}';
        this.#stop(trailing ? 'no comma may stand before }' : 'expected a key in double quotes');
      }
      const key: unknown = JSON.parse(`"${this.#string()}"`);
      if (typeof key === 'string') {
        if (keys.has(key)) this.#stop(`the key ${JSON.stringify(key)} stands here a second time`, offset);
        keys.add(key);
      }
      if (!this.#next(':')) this.#stop('expected : after the key');
      this.#value(depth + 1);
    } while (this.#next(','));
    if (!this.#next('}')) this.#stop('expected , or }');
  }

  #list(depth: number): void {
    if (this.#next(']')) return;
    do {
      this.#skip();
      if (this.#text[this.#at] === ']') this.#stop('no comma may stand before ]');
      this.#value(depth + 1);
    } while (this.#next(','));
    if (!this.#next(']')) this.#stop('expected , or ]');
  }

  #skip(): number {
    this.#match(WHITESPACE);
    return this.#at;
  }

  /** Reads the rest of a string, its opening quote being read; gives what stands between the quotes, escapes as they are. */
  #string(): string {
    const body = this.#match(STRING_BODY) ?? '';
    if (this.#text[this.#at] !== '"') {
      const what =
        this.#text[this.#at] === '\\' ? 'unknown escape in text' : 'expected the closing double quote';
      this.#stop(what);
    }
    this.#at++;
    return body;
  }
}
