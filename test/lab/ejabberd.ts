import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { chmod, chown, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describeError, SystemError } from '@kith/base';
import { makeServerCertificate } from './certificates.ts';
import { ended, run } from './command.ts';
import { callApi } from './ejabberd-api.ts';
import { ejabberdYaml, HUB_PORTS, type Shaper, type StunService } from './ejabberd-config.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';

export interface EjabberdOptions {
  /** XMPP domain; all hosts of the lab resolve it to the hub. Default vpn.test. */
  domain?: string;
  /** Name of the hub's host. Default hub. */
  host?: string;
  shaper?: Shaper;
  /** The domain has an IPv6 address too, STUN and TURN are served on both and announced by the domain's name. Default false. */
  dualStack?: boolean;
  /**
   * It only relays for another hub of the same domain, with that one's secret (alphanumeric): clients do not resolve the domain to it,
   * and the other announces it.
   */
  relayFor?: { turnSecret: string };
  /** Of the credentials for TURN; alphanumeric. Default random. */
  turnSecret?: string;
  /** How long those credentials are good, in ejabberd's words. Default 12h. */
  turnCredentials?: string;
  /** Announced besides; their host names are in the hub's certificate. */
  alsoAnnounced?: readonly StunService[];
}

// It answers after 1.4 s on an idle machine; two cores under a full test run may need much longer.
const START_TIMEOUT_MS = 60_000;
// Mnesia writes its tables at the end; 4 s were seen.
const STOP_TIMEOUT_MS = 20_000;
// Mnesia acknowledges a change that Erlang's disk_log still holds in memory: its write cache is written out 2 s after the first entry
// (TIMEOUT in its disk_log_1.erl). Of five accounts made at once, a SIGKILL up to 1.5 s later lost the last one every time.
const WRITTEN_AFTER_MS = 3_000;
const POLL_MS = 20;
// Debian's account for whoever shall own nothing.
const USER = 'nobody';
const DEBIAN_CTL = '/usr/sbin/ejabberdctl';

/**
 * A private ejabberd with STUN and TURN on a host of its own in a lab: own directory, own CA, unprivileged user.
 * Accounts and groups outlive `stop`, `kill9` and `start`.
 */
export class Ejabberd {
  readonly domain: string;
  readonly host: Host;
  readonly ports = HUB_PORTS;
  /** The CA's certificate, for clients' `ca_file`. */
  readonly caFile: string;
  /** ejabberd's own log. */
  readonly logFile: string;
  readonly #dir: string;
  readonly #apiSocket: string;
  #process: ChildProcess | undefined;
  /** When the last change was acknowledged that has to outlive `kill9`, by performance.now(). */
  #changedAt = Number.NEGATIVE_INFINITY;

  private constructor(lab: Lab, host: Host, domain: string) {
    this.host = host;
    this.domain = domain;
    this.#dir = join(lab.dir, host.name);
    this.caFile = join(this.#dir, 'conf', 'ca.pem');
    this.logFile = join(this.#dir, 'logs', 'ejabberd.log');
    this.#apiSocket = join(this.#dir, 'api', 'socket');
  }

  /** Sets up an ejabberd in the lab and waits until it serves. */
  static async start(lab: Lab, options: EjabberdOptions = {}): Promise<Ejabberd> {
    const host = await lab.host(options.host ?? 'hub');
    const ejabberd = new Ejabberd(lab, host, options.domain ?? 'vpn.test');
    const { dualStack = false, relayFor } = options;
    if (relayFor === undefined)
      await lab.setName(ejabberd.domain, ...(dualStack ? [host.ip6, host.ip4] : [host.ip4]));
    await ejabberd.#prepare(lab, options);
    await ejabberd.start();
    return ejabberd;
  }

  /** Where a controller finds this hub, by address: `xmpp://` with STARTTLS. */
  get server(): string {
    return `xmpp://${this.host.ip4}:${this.ports.starttls}`;
  }

  get tlsServer(): string {
    return `xmpps://${this.host.ip4}:${this.ports.tls}`;
  }

  get websocketServer(): string {
    return `wss://${this.host.ip4}:${this.ports.websocket}/ws`;
  }

  async #prepare(lab: Lab, options: EjabberdOptions): Promise<void> {
    const { shaper = 'raised', dualStack = false, alsoAnnounced = [] } = options;
    const conf = join(this.#dir, 'conf');
    await lab.directory(this.host.name);
    for (const part of ['conf', 'spool', 'logs', 'api']) await lab.directory(this.host.name, part);
    await makeServerCertificate(conf, {
      dns: [this.domain, 'localhost', ...alsoAnnounced.map(({ host }) => host)],
      ip: [this.host.ip4, this.host.ip6, '127.0.0.1'],
    });
    await writeFile(
      join(conf, 'ejabberd.yml'),
      ejabberdYaml({
        domain: this.domain,
        confDir: conf,
        apiSocket: this.#apiSocket,
        ip4: this.host.ip4,
        ...(dualStack ? { ip6: this.host.ip6 } : {}),
        announced: dualStack ? this.domain : this.host.ip4,
        alsoAnnounced,
        turnSecret: options.relayFor?.turnSecret ?? options.turnSecret ?? randomBytes(16).toString('hex'),
        turnCredentials: options.turnCredentials ?? '12h',
        shaper,
      }),
    );
    // One scheduler thread is plenty; a fixed port for Erlang's distribution, bound to loopback, needs no epmd daemon,
    // which would outlive us. The namespace is the hub's own, so the port can be the same in every lab.
    const erl = '-env ERL_CRASH_DUMP_BYTES 0 +S 1:1 -kernel inet_dist_use_interface {127,0,0,1}';
    await writeFile(
      join(conf, 'ejabberdctl.cfg'),
      `ERL_OPTIONS="${erl}"\nERL_DIST_PORT=15210\nEJABBERD_PID_PATH=${join(this.#dir, 'spool', 'ejabberd.pid')}\n`,
    );
    // Debian's script insists on the system's ejabberd user and its directories; ours may be anybody.
    const ctl = await readFile(DEBIAN_CTL, 'utf8');
    await writeFile(join(this.#dir, 'ejabberdctl'), ctl.replace(/^INSTALLUSER=.*$/m, 'INSTALLUSER=""'), {
      mode: 0o755,
    });
    await copyFile('/etc/ejabberd/inetrc', join(conf, 'inetrc'));
    await chmod(join(conf, 'inetrc'), 0o644);
    const uid = Number(await run('id', ['-u', USER]));
    const gid = Number(await run('id', ['-g', USER]));
    for (const part of ['spool', 'logs', 'api', 'conf/server.pem'])
      await chown(join(this.#dir, part), uid, gid);
    // Whoever can connect to the API's socket may do anything with it.
    await chmod(join(this.#dir, 'api'), 0o700);
  }

  /** Starts it again after `stop` or `kill9` and waits until it serves; SystemError HUB_NOT_STARTED ends with its log. */
  async start(): Promise<void> {
    if (this.#process !== undefined) return;
    const at = (part: string): string => join(this.#dir, part);
    const output = openSync(at('logs/output.log'), 'a');
    // A socket file that a killed server left would refuse the new one its address.
    await rm(this.#apiSocket, { force: true });
    const child = this.host.spawn(
      'setpriv',
      [
        ...['--reuid', USER, '--regid', 'nogroup', '--clear-groups'],
        ...[at('ejabberdctl'), '--config-dir', at('conf'), '--config', at('conf/ejabberd.yml')],
        ...['--ctl-config', at('conf/ejabberdctl.cfg'), '--logs', at('logs'), '--spool', at('spool')],
        ...['--node', 'kith@localhost', 'foreground'],
      ],
      // Its own process group, so that Ctrl-C in a test's terminal is not the end of the server but of the test.
      // HOME is where Erlang keeps its cookie.
      { detached: true, stdio: ['ignore', output, output], env: { ...process.env, HOME: at('spool') } },
    );
    closeSync(output);
    // The server must not keep our process alive: a demo that is kept leaves it running, and else the reaper ends it.
    child.unref();
    this.#process = child;
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await this.#call('status', {});
        return;
      } catch (cause) {
        if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
          this.#process = undefined;
          const log = await readFile(this.logFile, 'utf8').catch(describeError);
          const said = await readFile(at('logs/output.log'), 'utf8').catch(describeError);
          throw new SystemError('HUB_NOT_STARTED', `ejabberd does not start:\n${said}${log}`, { cause });
        }
      }
      await pause(POLL_MS);
    }
  }

  /** Ends it in good order: sessions are closed, tables written. */
  async stop(): Promise<void> {
    // SIGTERM makes the Erlang machine run init:stop(), which is what `ejabberdctl stop` asks of it, 0.6 s later.
    await this.#end('SIGTERM');
  }

  /** Ends it as a power failure would, but waits until the changes that were asked of it here are on disk: at most 3 s. */
  async kill9(): Promise<void> {
    const unwrittenMs = this.#changedAt + WRITTEN_AFTER_MS - performance.now();
    if (unwrittenMs > 0) await pause(unwrittenMs);
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    // The Erlang machine is a child of the control script, which ends when it does.
    const pid = Number(await readFile(join(this.#dir, 'spool', 'ejabberd.pid'), 'utf8'));
    process.kill(pid, signal);
    const late = new AbortController();
    const code = await Promise.race([
      ended(child),
      pause(STOP_TIMEOUT_MS, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    if (code === undefined)
      throw new SystemError('HUB_NOT_STOPPED', `ejabberd (pid ${pid}) does not end on ${signal}`);
    this.#process = undefined;
  }

  #call(command: string, args: Record<string, string | number>): Promise<unknown> {
    return callApi(this.#apiSocket, command, args);
  }

  /** Calls a command that changes a table of Mnesia's. */
  async #change(command: string, args: Record<string, string>): Promise<unknown> {
    const answer = await this.#call(command, args);
    this.#changedAt = performance.now();
    return answer;
  }

  /** The same for one that answers with a result code, of which only 0 is success. */
  async #changeForZero(command: string, args: Record<string, string>): Promise<void> {
    demandZero(command, await this.#change(command, args));
  }

  /** Bare JID of a user. */
  jid(user: string): string {
    return `${user}@${this.domain}`;
  }

  /** Makes an account; SystemError HUB_REFUSED when there is one of that name. */
  async register(user: string, password: string): Promise<void> {
    await this.#change('register', { user, host: this.domain, password });
  }

  async unregister(user: string): Promise<void> {
    await this.#change('unregister', { user, host: this.domain });
  }

  /** Makes a shared roster group whose members see those of the group `displayed` under its name: each other, unless told. */
  async createGroup(group: string, displayed = group): Promise<void> {
    // A group's members see the contacts of the groups that it displays; it must display itself for them to see each other.
    await this.#changeForZero('srg_create', {
      group,
      host: this.domain,
      label: group,
      description: group,
      display: displayed,
    });
  }

  async addToGroup(user: string, group: string): Promise<void> {
    await this.#changeForZero('srg_user_add', { user, host: this.domain, group, grouphost: this.domain });
  }

  async removeFromGroup(user: string, group: string): Promise<void> {
    await this.#changeForZero('srg_user_del', { user, host: this.domain, group, grouphost: this.domain });
  }

  /** Bare JIDs of a group's members. */
  async groupMembers(group: string): Promise<string[]> {
    return strings(await this.#call('srg_get_members', { group, host: this.domain }));
  }

  /** Puts `contact` into the roster of `user` with subscription both, and the other way round: friends, as in SocialVPN. */
  async befriend(user: string, contact: string): Promise<void> {
    for (const [one, other] of [
      [user, contact],
      [contact, user],
    ] as const) {
      const item = { localuser: one, localhost: this.domain, user: other, host: this.domain, nick: other };
      await this.#changeForZero('add_rosteritem', { ...item, group: '', subs: 'both' });
    }
  }

  /** Ends every session of a user; the client sees the stream error `policy-violation`. Returns how many there were. */
  async kick(user: string): Promise<number> {
    const answer = await this.#call('kick_user', { user, host: this.domain });
    const count =
      typeof answer === 'object' && answer !== null && 'num_resources' in answer && answer.num_resources;
    if (typeof count !== 'number') throw refused('kick_user', answer);
    return count;
  }

  /** Lets the hub believe that an open session of a user has sent a stanza. */
  async sendAs(user: string, resource: string, stanza: string): Promise<void> {
    const command = 'send_stanza_c2s';
    demandZero(command, await this.#call(command, { user, host: this.domain, resource, stanza }));
  }

  /** Full JIDs of the sessions that are open. */
  async online(): Promise<string[]> {
    return strings(await this.#call('connected_users', {}));
  }
}

function strings(answer: unknown): string[] {
  if (Array.isArray(answer) && answer.every((item) => typeof item === 'string')) return answer;
  throw refused('a list of names was asked for', answer);
}

function demandZero(command: string, answer: unknown): void {
  if (answer !== 0) throw refused(command, answer);
}

function refused(what: string, answer: unknown): SystemError {
  return new SystemError('HUB_REFUSED', `ejabberd: ${what}: unexpected answer ${JSON.stringify(answer)}`);
}
