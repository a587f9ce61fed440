import { randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BugError, SystemError } from '@kith/base';
import { run } from './command.ts';
import { HOST_INTERFACE, Host, type HostAddress, PREFIX4, PREFIX6 } from './host.ts';
import { Reaper } from './reaper.ts';

export interface LabOptions {
  /** Part of the namespaces' names, so that a person who looks with `ip netns` knows whose they are: [a-z0-9]{1,12}. */
  name?: string;
}

// RFC 5737 TEST-NET-3 and RFC 3849: addresses that nobody has, so a packet that ever left the lab would go nowhere.
const NET4 = '203.0.113.';
const NET6 = '2001:db8:113::';
// Host parts 1..99 are given out in order of creation; a test may use 100..254 for addresses of its own choice.
const MAX_HOSTS = 99;

/**
 * Hosts as network namespaces on one common switch, a bridge in a namespace of its own: nothing touches the machine's
 * own network. Names are unique per lab, so several labs can run at once. However the process that made it ends, the
 * reaper removes all of it.
 */
export class Lab {
  readonly id: string;
  /** Directory for everything that the lab's programs write; gone with the lab. Others may enter, not write. */
  readonly dir: string;
  readonly #reaper: Reaper;
  readonly #switch: string;
  readonly #hosts = new Map<string, Promise<Host>>();
  /** What every host's /etc/hosts says, by name. */
  readonly #names = new Map<string, readonly string[]>();
  #next = 1;
  #ended = false;
  /** Changes of the lab happen one after another, so that two never write one host's files at once. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(id: string, reaper: Reaper) {
    this.id = id;
    this.dir = join(tmpdir(), `kith-lab-${id}`);
    this.#reaper = reaper;
    this.#switch = this.#namespace('switch');
  }

  /** Makes a lab with a switch and no hosts. Needs root (SystemError NOT_ROOT). */
  static async create(options: LabOptions = {}): Promise<Lab> {
    if (process.geteuid?.() !== 0)
      throw new SystemError('NOT_ROOT', 'a lab of network namespaces needs root');
    const name = options.name ?? 'lab';
    if (!/^[a-z0-9]{1,12}$/.test(name))
      throw new BugError('BAD_LAB_NAME', `lab name ${name} is not [a-z0-9]{1,12}`);
    const lab = new Lab(`${name}-${randomBytes(3).toString('hex')}`, await Reaper.start());
    try {
      await lab.#build();
    } catch (error) {
      await lab.destroy();
      throw error;
    }
    return lab;
  }

  async #build(): Promise<void> {
    await this.#reaper.order({ directory: this.dir });
    // A test run that wants to show what failed names a directory here (scripts/test.mjs does).
    const keepLogs = process.env.KITH_LAB_LOGS;
    if (keepLogs !== undefined && keepLogs !== '') await this.#reaper.order({ keep_logs: keepLogs });
    await this.directory();
    await this.#addNamespace(this.#switch);
    // Multicast snooping would hold back IPv6 neighbour discovery and Kith's own multicast until it has learned.
    await this.#ip(this.#switch, [
      'link add name switch type bridge mcast_snooping 0',
      'link set dev switch addrgenmode none',
      'link set dev switch up',
    ]);
  }

  /** The host of that name ([a-z0-9-], at most 24 characters), which is made when it is asked for the first time. */
  host(name: string): Promise<Host> {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    if (this.#ended) throw new BugError('LAB_ENDED', 'the lab was destroyed');
    const host = this.#inTurn(() => this.#addHost(name));
    this.#hosts.set(name, host);
    return host;
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(change);
    // The caller gets the failure; the next in the queue must not.
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /**
   * A new host behind a router: its cable ends in a bridge of that name on the router instead of the switch. An empty address is one
   * that it does not have. It has no route but its own network's, and no other host knows its name.
   */
  hostBehind(router: Host, bridge: string, name: string, address: HostAddress): Promise<Host> {
    if (this.#hosts.has(name)) throw new BugError('HOST_TWICE', `there is a host ${name} already`);
    if (this.#ended) throw new BugError('LAB_ENDED', 'the lab was destroyed');
    const host = this.#inTurn(() =>
      this.#connect(name, this.#number(name), { namespace: router.namespace, bridge }, address),
    );
    this.#hosts.set(name, host);
    return host;
  }

  #number(name: string): number {
    if (!/^[a-z0-9][a-z0-9-]{0,23}$/.test(name) || name === 'switch') {
      throw new BugError('BAD_HOST_NAME', `host name ${name} cannot be used`);
    }
    const number = this.#next++;
    if (number > MAX_HOSTS) throw new BugError('TOO_MANY_HOSTS', `a lab has at most ${MAX_HOSTS} hosts`);
    return number;
  }

  async #addHost(name: string): Promise<Host> {
    const number = this.#number(name);
    const address: HostAddress = { ip4: `${NET4}${number}`, ip6: `${NET6}${number.toString(16)}` };
    const host = await this.#connect(name, number, { namespace: this.#switch, bridge: 'switch' }, address);
    await this.#setName(name, [address.ip4]);
    return host;
  }

  async #connect(
    name: string,
    number: number,
    to: { namespace: string; bridge: string },
    address: HostAddress,
  ): Promise<Host> {
    const namespace = this.#namespace(name);
    const port = `port${number}`;
    await this.#addNamespace(namespace);
    // Both ends are born in their namespaces: the machine's own never sees a device.
    await run('ip', [
      ...['-n', to.namespace, 'link', 'add', 'name', port, 'type', 'veth'],
      ...['peer', 'name', HOST_INTERFACE, 'netns', namespace],
    ]);
    await this.#ip(to.namespace, [
      `link set dev ${port} addrgenmode none`,
      `link set dev ${port} master ${to.bridge}`,
      `link set dev ${port} up`,
    ]);
    const add = (cidr: string): string => `address add ${cidr} dev ${HOST_INTERFACE}`;
    await this.#ip(namespace, [
      'link set dev lo up',
      ...(address.ip4 === '' ? [] : [add(`${address.ip4}/${PREFIX4}`)]),
      ...(address.ip6 === '' ? [] : [`${add(`${address.ip6}/${PREFIX6}`)} nodad`]),
      `link set dev ${HOST_INTERFACE} up`,
    ]);
    return new Host({ name, namespace, switchNamespace: to.namespace, port, address });
  }

  /** Makes a directory inside the lab's, for one host's files, that others may enter but not write. Returns its path. */
  async directory(...names: string[]): Promise<string> {
    const path = join(this.dir, ...names);
    await mkdir(path, { recursive: true });
    // mkdir's mode is cut by the umask; unprivileged programs of the lab must be able to enter.
    await chmod(path, 0o755);
    return path;
  }

  /** Lets all hosts resolve `name` to these addresses, as DNS would. */
  setName(name: string, ...addresses: string[]): Promise<void> {
    return this.#inTurn(() => this.#setName(name, addresses));
  }

  async #setName(name: string, addresses: readonly string[]): Promise<void> {
    this.#names.set(name, addresses);
    for (const host of this.#hosts.keys()) await this.#writeNames(this.#namespace(host));
  }

  /** Removes a host with all its processes, as when its power fails. */
  async removeHost(name: string): Promise<void> {
    const host = await this.host(name);
    this.#hosts.delete(name);
    for (const pid of await host.pids()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself in between.
      }
    }
    await run('ip', ['netns', 'delete', host.namespace]);
  }

  /** Ends every process of the lab and removes all that it made. Idempotent. SystemError REAPER_FAILED names what stays. */
  async destroy(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await Promise.allSettled(this.#hosts.values());
    await this.#reaper.clean(true);
  }

  /** `destroy` in the middle of things: also finds processes that are being started at this moment. Takes a second longer. */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#reaper.clean(false);
  }

  /** Lets the lab live on without us. `file` takes what `Reaper.cleanFrom` needs to remove it later. */
  async handOver(file: string): Promise<void> {
    this.#ended = true;
    await this.#reaper.handOver(file);
  }

  #namespace(host: string): string {
    return `kith-${this.id}-${host}`;
  }

  async #addNamespace(namespace: string): Promise<void> {
    await this.#reaper.order({ namespace });
    await this.#writeNames(namespace);
    await run('ip', ['netns', 'add', namespace]);
    // Nobody else chooses addresses here, so duplicate address detection would only cost a second (RFC 4862 §5.4): until a card's
    // link-local address is past it, a router cannot ask for a neighbour.
    const dad = '/proc/sys/net/ipv6/conf/default/accept_dad';
    await run('ip', ['netns', 'exec', namespace, 'sh', '-c', `echo 0 > ${dad}`]);
  }

  async #writeNames(namespace: string): Promise<void> {
    const lines = [...this.#names].flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    // ip-netns(8) lays the files of this directory over /etc: without them a host would ask the machine's own DNS servers.
    await mkdir(`/etc/netns/${namespace}`, { recursive: true });
    // Nobody listens on a host's port 53, so a look-up of an unknown name fails at once.
    await writeFile(`/etc/netns/${namespace}/resolv.conf`, 'nameserver 127.0.0.1\n');
    // Written in place, not replaced: running processes have this very inode bind-mounted over /etc/hosts.
    await writeFile(`/etc/netns/${namespace}/hosts`, `127.0.0.1 localhost\n::1 localhost\n${lines.join('')}`);
  }

  async #ip(namespace: string, commands: readonly string[]): Promise<void> {
    await run('ip', ['-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }
}
