import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '@kith/base';
import { ended, firstReply, type Host, type Lab } from '../lab/index.ts';
import type { Session } from './system.ts';

const READY_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const TERM_TIMEOUT_MS = 3000;

/** The processes of a peer system, started one by one and ended together. */
export class Daemons {
  readonly #lab: Lab;
  readonly #children: { child: ChildProcess; logFile: string; line: string }[] = [];

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Starts a program that stays in the foreground; what it says goes to a log in the lab's directory. */
  async start(
    host: Host,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<void> {
    const name = `${command.split('/').at(-1)}-${this.#children.length}.log`;
    const logFile = join(await this.#lab.directory(host.name), name);
    const log = openSync(logFile, 'w');
    const child = host.spawn(command, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    child.on('error', () => undefined);
    this.#children.push({ child, logFile, line: [command, ...args].join(' ') });
  }

  /** Waits for an interface that a daemon makes; SystemError with the daemons' words when one ends instead. */
  async interface(host: Host, name: string): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while ((await host.exec('ip', ['link', 'show', 'dev', name])).code !== 0) {
      if (this.#dead() || performance.now() > deadline) {
        throw new SystemError('PEER_NOT_STARTED', `${name} does not appear:\n${await this.logs()}`);
      }
      await pause(POLL_MS);
    }
  }

  /** Waits until the daemon that was started last has said `text`; SystemError with its words when it does not. */
  async says(text: string): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    const { logFile = '' } = this.#children.at(-1) ?? {};
    while (!(await readFile(logFile, 'utf8')).includes(text)) {
      if (this.#dead() || performance.now() > deadline) {
        throw new SystemError('PEER_NOT_STARTED', `"${text}" was not said:\n${await this.logs()}`);
      }
      await pause(POLL_MS);
    }
  }

  /** Waits until `address` answers the client through an interface and returns the session, which ends these daemons. */
  async session(client: Host, interfaceName: string, serverAddress: string): Promise<Session> {
    try {
      await firstReply(client, interfaceName, serverAddress, READY_TIMEOUT_MS);
    } catch (cause) {
      throw new SystemError('PEER_NOT_STARTED', `no connection:\n${await this.logs()}`, { cause });
    }
    return { serverAddress, stop: () => this.stop() };
  }

  #dead(): boolean {
    return this.#children.some(({ child }) => child.exitCode !== null || child.signalCode !== null);
  }

  /** The last lines of every daemon's log. */
  async logs(): Promise<string> {
    const texts = this.#children.map(async ({ logFile, line }) => {
      const text = await readFile(logFile, 'utf8').catch(() => '');
      return `--- ${line}\n${text.trimEnd().split('\n').slice(-8).join('\n')}\n`;
    });
    return (await Promise.all(texts)).join('');
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async ({ child }) => {
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), TERM_TIMEOUT_MS);
        await ended(child);
        clearTimeout(timer);
      }),
    );
  }
}

/** Runs `start` with new daemons, which are ended when it fails. */
export async function withDaemons(lab: Lab, start: (daemons: Daemons) => Promise<Session>): Promise<Session> {
  const daemons = new Daemons(lab);
  try {
    return await start(daemons);
  } catch (error) {
    await daemons.stop();
    throw error;
  }
}
