import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describeError, SystemError } from '@kith/base';
import type { StatusReport } from '@kith/protocol';
import type { CommandResult } from './command.ts';
import type { Ejabberd } from './ejabberd.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { askStatus } from './status-socket.ts';

export interface KithNodeOptions {
  /** Account at the hub; it must have been registered with this password. */
  user: string;
  password: string;
  /** Overlay address with prefix length, e.g. 172.31.0.1/24. */
  ip4: string;
  /** Roster group whose members are this network's. */
  group?: string;
  /** Server URL; default `xmpp://` with STARTTLS, by the hub's domain. */
  server?: string;
  /** Laid over the config, group of keys by group of keys. */
  config?: Record<string, Record<string, unknown>>;
}

/** Name of the network, of its config file and of everything else that nodes of a lab have names for. */
export const NETWORK = 'demo';
export const OVERLAY_INTERFACE = 'kith0';

// `kith up` itself gives up after 60 s.
const COMMAND_TIMEOUT_MS = 75_000;
const STATUS_POLL_MS = 10;

// This file runs as test/lab/kith-node.ts (vitest) and as test/dist/lab/kith-node.js.
const ROOT = new URL(import.meta.url.includes('/test/dist/lab/') ? '../../../' : '../../', import.meta.url);

/** The kith command of this checkout. */
export const KITH = fileURLToPath(new URL('packages/cli/bin/kith.js', ROOT));

/** One Kith node on a host of a lab, run by the real `kith` command with all its files in the lab's directory. */
export class KithNode {
  readonly host: Host;
  readonly configFile: string;
  readonly runtimeDir: string;
  readonly stateDir: string;
  readonly logFile: string;

  private constructor(host: Host, directory: string) {
    this.host = host;
    this.configFile = join(directory, `${NETWORK}.json`);
    this.runtimeDir = join(directory, 'run');
    this.stateDir = join(directory, 'state');
    this.logFile = join(this.runtimeDir, 'kith.log');
  }

  /** Writes the node's config; nothing runs yet. */
  static async create(lab: Lab, hub: Ejabberd, host: Host, options: KithNodeOptions): Promise<KithNode> {
    const directory = await lab.directory(host.name);
    const node = new KithNode(host, directory);
    const extra = options.config ?? {};
    const config = {
      name: NETWORK,
      ...extra,
      xmpp: {
        jid: hub.jid(options.user),
        password: options.password,
        server: options.server ?? `xmpp://${hub.domain}:${hub.ports.starttls}`,
        ca_file: hub.caFile,
        ...extra.xmpp,
      },
      network: {
        kind: 'group',
        ...(options.group === undefined ? {} : { group: options.group }),
        ip4: options.ip4,
        interface: OVERLAY_INTERFACE,
        ...extra.network,
      },
      process: { state_dir: node.stateDir, runtime_dir: node.runtimeDir, ...extra.process },
    };
    // It holds a password: kith refuses a file that others may read.
    await writeFile(node.configFile, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    return node;
  }

  /** Runs a `kith` command for this node on its host. */
  kith(command: string, ...args: string[]): Promise<CommandResult> {
    return this.host.exec(process.execPath, [KITH, command, '-c', this.configFile, ...args], {
      timeoutMs: COMMAND_TIMEOUT_MS,
    });
  }

  /** `kith up`; SystemError KITH_FAILED carries what it said. */
  async up(): Promise<string> {
    return this.#must('up', await this.kith('up'));
  }

  async down(): Promise<string> {
    return this.#must('down', await this.kith('down'));
  }

  /** What `kith status` prints for a person. */
  async statusText(): Promise<string> {
    return this.#must('status', await this.kith('status'));
  }

  #must(command: string, result: CommandResult): string {
    if (result.code === 0) return result.stdout;
    throw new SystemError(
      'KITH_FAILED',
      `kith ${command} on ${this.host.name}: exit code ${result.code}: ${(result.stdout + result.stderr).trim()}`,
    );
  }

  /** The controller's status, straight from its socket. */
  status(): Promise<StatusReport> {
    return askStatus(join(this.runtimeDir, 'controller', 'status.sock'));
  }

  /** Polls the status, also while nothing runs yet, until it is as wished; SystemError NEVER_SO tells the last one. */
  async waitUntil(
    what: string,
    wished: (status: StatusReport) => boolean,
    timeoutMs = 30_000,
  ): Promise<StatusReport> {
    const deadline = performance.now() + timeoutMs;
    let last: string;
    for (;;) {
      try {
        const status = await this.status();
        if (wished(status)) return status;
        last = JSON.stringify(status);
      } catch (error) {
        last = describeError(error);
      }
      if (performance.now() > deadline) {
        throw new SystemError(
          'NEVER_SO',
          `${this.host.name}: not ${what} after ${timeoutMs} ms; last status: ${last}`,
        );
      }
      await pause(STATUS_POLL_MS);
    }
  }

  /** The last lines of this node's log, headed by its file's name. */
  async logTail(lines = 25): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => undefined);
    if (text === undefined) return '';
    return `--- ${this.logFile}\n${text.trimEnd().split('\n').slice(-lines).join('\n')}\n`;
  }
}
