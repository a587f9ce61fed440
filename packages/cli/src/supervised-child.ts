import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { BEAT_MS, COMPILE_LATE, type Logger, monotonicMs, PARENT_FD_VARIABLE, Timers } from '@kith/base';
import { LineSplitter } from './line-splitter.ts';
import { lockWait } from './lock-wait.ts';
import type { LogSink } from './log-sink.ts';
import { RestartPolicy } from './restart-policy.ts';

/** A process to keep running. */
export interface ChildSpec {
  readonly name: string;
  /** Absolute path of the file that Node runs. */
  readonly main: string;
  /** Start document, written to its standard input. */
  readonly document: string;
}

/** A death of a child, and when it will be started again. */
export interface Death {
  readonly name: string;
  /** Deaths since it last lived for a minute, this one counted. */
  readonly deaths: number;
  /** How it ended, and its last words. */
  readonly reason: string;
}

/** What a child's supervisor is told of it. */
export interface ChildEvents {
  started(): void;
  died(death: Death): void;
}

/** The children promise to end within 3 s; two more for a loaded machine. */
const KILL_AFTER_MS = 5000;
/** How often a child is looked at that has missed a beat. */
const SILENT_LOOK_MS = 2_000;
/**
 * A child that has been silent at so many of those looks in a row stands still for good: it is ended and started again. A machine
 * under full load stalls for a second or two. Looks are counted, not seconds: while the machine is suspended nobody looks.
 */
const SILENT_LOOKS = 8;
/** One that waits for the same lock all the while needs fewer: it will never go on. */
const LOCKED_LOOKS = 3;
/** pino's number for "error": a line of this level or above says why a process ended. */
const PINO_ERROR = 50;
/** The descriptor whose end of file tells the child that its supervisor is gone, however that ended. */
const PARENT_FD = 3;
/**
 * What children get of the environment: tincan has no use for a password that stands in a variable (WALL 2). The rest is what Node
 * and OpenSSL look at.
 */
const PASSED_ON = [
  'PATH',
  'HOME',
  'TZ',
  'LANG',
  'LC_ALL',
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/** One child process: started, its log lines passed on, started again when it dies, ended when asked to. */
export class SupervisedChild {
  readonly #spec: ChildSpec;
  readonly #sink: LogSink;
  readonly #log: Logger;
  readonly #events: ChildEvents;
  readonly #policy: RestartPolicy;
  readonly #timers = new Timers();
  #process: ChildProcess | undefined;
  #lastWords = '';
  /** Looks since the child's last word; undefined before its first. */
  #silentLooks: number | undefined;
  /** What lockWait said at the last look. */
  #lockWait: string | undefined;
  #ending = false;
  #ended: (() => void) | undefined;

  constructor(
    spec: ChildSpec,
    sink: LogSink,
    log: Logger,
    events: ChildEvents,
    policy: RestartPolicy = new RestartPolicy(),
  ) {
    this.#spec = spec;
    this.#sink = sink;
    this.#log = log;
    this.#events = events;
    this.#policy = policy;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** The running process, if there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(): void {
    const { name, main, document } = this.#spec;
    this.#lastWords = '';
    this.#policy.started(monotonicMs());
    const child = spawn(process.execPath, [COMPILE_LATE, main], {
      cwd: '/',
      env: { ...environment(), [PARENT_FD_VARIABLE]: String(PARENT_FD) },
      // A group of its own: Ctrl-C at the terminal is for the supervisor, which ends its children in its own way.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    this.#process = child;
    let over = false;
    const end = (how: string): void => {
      if (over) return;
      over = true;
      this.#died(how);
    };
    child.on('error', (error) => end(`could not be started: ${error.message}`));
    // 'close' comes after 'exit' and after the last of the output, so the last words are complete.
    child.on('close', (code, signal) =>
      end(signal === null ? `ended with code ${code}` : `ended by ${signal}`),
    );
    // A child that dies before it has read its document breaks these pipes; its death is reported as such.
    child.stdin?.on('error', () => {});
    child.stdio[PARENT_FD]?.on('error', () => {}).on('data', () => this.#heard(child));
    this.#silentLooks = undefined;
    this.#timers.every('look', BEAT_MS, () => this.#look(child));
    child.stdin?.end(document);
    if (child.stdout !== null) this.#listen(child.stdout, (line) => this.#logLine(line));
    if (child.stderr !== null) this.#listen(child.stderr, (line) => this.#errorLine(line));
    this.#log.info({ child: name, pid: child.pid }, `${name} started`);
    this.#events.started();
  }

  /** Tells it that another child was started or has died. */
  news(): void {
    const pipe = this.#process?.stdio[PARENT_FD];
    // One that is not read is not written on.
    if (pipe instanceof Socket && pipe.writable && pipe.writableLength === 0) pipe.write('.');
  }

  /** Ends the process for good: SIGTERM, SIGKILL after 5 s. Resolves when it is gone. */
  stop(): Promise<void> {
    this.#ending = true;
    this.#timers.clear('restart');
    // Whoever ends may take its time for it, up to the kill below.
    this.#timers.clear('look');
    const child = this.#process;
    if (child === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ended = resolve;
      child.kill('SIGTERM');
      this.#timers.after('kill', KILL_AFTER_MS, () => {
        this.#log.warn({ child: this.#spec.name }, `${this.#spec.name} does not end, it is killed`);
        child.kill('SIGKILL');
      });
    });
  }

  #heard(child: ChildProcess): void {
    const missedBeats = (this.#silentLooks ?? 0) > 1;
    this.#silentLooks = 0;
    if (missedBeats && !this.#ending) this.#timers.every('look', BEAT_MS, () => this.#look(child));
  }

  #look(child: ChildProcess): void {
    if (this.#silentLooks === undefined) return;
    this.#silentLooks++;
    // Its beat may be on the way; of one that speaks nothing more needs to be known.
    if (this.#silentLooks === 1) return;
    if (this.#silentLooks === 2) this.#timers.every('look', SILENT_LOOK_MS, () => this.#look(child));
    const wait = child.pid === undefined ? undefined : lockWait(child.pid);
    const isLocked = wait !== undefined && wait === this.#lockWait && this.#silentLooks >= LOCKED_LOOKS;
    this.#lockWait = wait;
    if (!isLocked && this.#silentLooks <= SILENT_LOOKS) return;
    this.#timers.clear('look');
    this.#lastWords = isLocked
      ? 'it waited for a lock that nobody gave back'
      : `it stood still for ${(SILENT_LOOKS * SILENT_LOOK_MS) / 1000} s`;
    child.kill('SIGKILL');
  }

  #listen(stream: Readable, onLine: (line: string) => void): void {
    const splitter = new LineSplitter(onLine);
    stream.on('data', (bytes: Buffer) => splitter.push(bytes));
    stream.on('end', () => splitter.end());
    stream.on('error', () => splitter.end());
  }

  #logLine(line: string): void {
    this.#sink.line(line);
    const words = errorMessage(line);
    if (words !== undefined) this.#lastWords = words;
  }

  /** Standard error is where Node writes why it crashed; it goes into the log in the log's own form. */
  #errorLine(line: string): void {
    if (/\b\w*Error\b/.test(line)) this.#lastWords = line.trim();
    this.#log.warn({ child: this.#spec.name }, line);
  }

  #died(how: string): void {
    const { name } = this.#spec;
    this.#process = undefined;
    this.#timers.clear('kill');
    this.#timers.clear('look');
    if (this.#ending) {
      this.#log.info({ child: name }, `${name} ${how}`);
      this.#ended?.();
      return;
    }
    const waitMs = Math.round(this.#policy.died(monotonicMs()));
    const reason = this.#lastWords === '' ? how : `${how}: ${this.#lastWords}`;
    this.#log.error({ child: name, restart_in_ms: waitMs }, `${name} ${reason}`);
    this.#timers.after('restart', waitMs, () => this.start());
    this.#events.died({ name, deaths: this.#policy.deaths, reason });
  }
}

function environment(): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = process.env[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/** The message of a pino line of level error or above. */
function errorMessage(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('level' in entry) || !('msg' in entry))
      return undefined;
    const { level, msg } = entry;
    return typeof level === 'number' && level >= PINO_ERROR && typeof msg === 'string' ? msg : undefined;
  } catch {
    return undefined;
  }
}
