import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger, describeError, type Logger, SystemError } from '@kith/base';
import { type KithConfig, loadConfig } from '@kith/config';
import { makeDirectories } from './directories.ts';
import { LogFile, type LogSink, LogToStdout } from './log-sink.ts';
import { PidFile } from './pid-file.ts';
import { type ChildSpec, type Death, SupervisedChild } from './supervised-child.ts';

/** Files of a running network's runtime directory. */
export const PID_FILE = 'supervisor.pid';
export const LOG_FILE = 'kith.log';
/** What means nothing once the network is down. The log stays: it says why. */
const REMOVED_AT_END = ['api.secret', 'controller/status.sock'];

export interface SupervisorOptions {
  /** Writes log lines to standard output instead of the log file. */
  readonly foreground: boolean;
  readonly onDeath: (death: Death) => void;
  /** What to run; takes the config that was loaded. */
  readonly children: (config: KithConfig) => readonly ChildSpec[];
}

/** Keeps the processes of one network running, from `start` to `stop`. */
export class Supervisor {
  readonly #config: KithConfig;
  readonly #pidFile: PidFile;
  readonly #sink: LogSink;
  readonly #log: Logger;
  readonly #children: readonly SupervisedChild[];
  #stopped: Promise<void> | undefined;

  private constructor(config: KithConfig, pidFile: PidFile, sink: LogSink, options: SupervisorOptions) {
    this.#config = config;
    this.#pidFile = pidFile;
    this.#sink = sink;
    this.#log = createLogger('supervisor', config.log.level, { write: (line) => sink.line(line.trimEnd()) });
    this.#children = options.children(config).map((spec) => {
      const news = (): void => this.#tellOthers(spec.name);
      return new SupervisedChild(spec, sink, this.#log, {
        started: news,
        died: (death) => {
          news();
          options.onDeath(death);
        },
      });
    });
  }

  /**
   * Makes the network's directories, takes its lock and starts its processes.
   * Throws ConfigError (see loadConfig), SystemError ALREADY_RUNS, PID_FILE or DIRECTORY.
   */
  static start(configFile: string, options: SupervisorOptions): Supervisor {
    // Directories that all may pass are to be so under any umask; secrets are made with modes of their own.
    process.umask(0o022);
    const { config, notices } = loadConfig(configFile);
    const { uid, gid, runtime_dir } = config.process;
    makeDirectories(config, { uid, gid });
    const pidFile = PidFile.take(join(runtime_dir, PID_FILE));
    if (pidFile === undefined) {
      throw new SystemError(
        'ALREADY_RUNS',
        `network ${config.name} runs already (${join(runtime_dir, PID_FILE)})`,
      );
    }
    const sink = options.foreground ? new LogToStdout() : new LogFile(join(runtime_dir, LOG_FILE));
    const supervisor = new Supervisor(config, pidFile, sink, options);
    for (const notice of notices) supervisor.#log.warn(notice);
    for (const child of supervisor.#children) child.start();
    return supervisor;
  }

  get config(): KithConfig {
    return this.#config;
  }

  /** Ends both processes, removes the runtime files, gives up the lock. A second call waits for the first. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** The controller looks for a tincan that is gone or new at once, instead of asking all the time whether it is. */
  #tellOthers(name: string): void {
    for (const child of this.#children) if (child.name !== name) child.news();
  }

  async #stop(): Promise<void> {
    this.#log.info('ending');
    await Promise.all(this.#children.map((child) => child.stop()));
    for (const file of REMOVED_AT_END) {
      try {
        rmSync(join(this.#config.process.runtime_dir, file), { force: true });
      } catch (error) {
        this.#log.warn(`cannot remove ${file}: ${describeError(error)}`);
      }
    }
    this.#log.info('ended');
    this.#sink.close();
    this.#pidFile.release();
  }
}
