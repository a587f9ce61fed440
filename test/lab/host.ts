import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { type CommandOptions, type CommandResult, execute, run } from './command.ts';

/** A host behind a router may lack one of the two; the string is empty then. */
export interface HostAddress {
  ip4: string;
  ip6: string;
}

/** Length of the switch's IPv4 and IPv6 prefixes. */
export const PREFIX4 = 24;
export const PREFIX6 = 64;

/** Name of the card with which a host is on the switch, inside its namespace. */
export const HOST_INTERFACE = 'eth0';

/** One machine of a lab: a network namespace with one card on the lab's switch, or on a router's bridge. */
export class Host {
  readonly name: string;
  readonly namespace: string;
  readonly #switchNamespace: string;
  readonly #port: string;
  #address: HostAddress;

  constructor(options: {
    name: string;
    namespace: string;
    switchNamespace: string;
    port: string;
    address: HostAddress;
  }) {
    this.name = options.name;
    this.namespace = options.namespace;
    this.#switchNamespace = options.switchNamespace;
    this.#port = options.port;
    this.#address = options.address;
  }

  get ip4(): string {
    return this.#address.ip4;
  }

  get ip6(): string {
    return this.#address.ip6;
  }

  /** The other end of this host's cable: the switch's namespace, and the port in it. */
  get cable(): { switchNamespace: string; port: string } {
    return { switchNamespace: this.#switchNamespace, port: this.#port };
  }

  /** Runs a command on this host to its end. A non-zero exit is a result, not an error. */
  exec(command: string, args: readonly string[] = [], options: CommandOptions = {}): Promise<CommandResult> {
    return execute('ip', ['netns', 'exec', this.namespace, command, ...args], options);
  }

  /** Runs a command on this host that must succeed and returns its standard output. */
  run(command: string, args: readonly string[] = [], options: CommandOptions = {}): Promise<string> {
    return run('ip', ['netns', 'exec', this.namespace, command, ...args], options);
  }

  /** Starts a process on this host. `ip netns exec` becomes the command, so the child's pid is the command's. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.namespace, command, ...args], options);
  }

  /** Pids of all processes on this host. */
  async pids(): Promise<number[]> {
    const list = await run('ip', ['netns', 'pids', this.namespace]);
    return list.split('\n').filter(Boolean).map(Number);
  }

  /** Pulls the cable: the switch's port goes down, so this host sees its carrier vanish as with a real cable. */
  async linkDown(): Promise<void> {
    await run('ip', ['-n', this.#switchNamespace, 'link', 'set', this.#port, 'down']);
  }

  async linkUp(): Promise<void> {
    await run('ip', ['-n', this.#switchNamespace, 'link', 'set', this.#port, 'up']);
  }

  /** Replaces the addresses given; the old ones are gone before the new ones come, as with a new DHCP lease. */
  async setAddress(address: Partial<HostAddress>): Promise<void> {
    const next = { ...this.#address, ...address };
    const commands: string[] = [];
    if (next.ip4 !== this.ip4) {
      commands.push(`address delete ${this.ip4}/${PREFIX4} dev ${HOST_INTERFACE}`);
      commands.push(`address add ${next.ip4}/${PREFIX4} dev ${HOST_INTERFACE}`);
    }
    if (next.ip6 !== this.ip6) {
      commands.push(`address delete ${this.ip6}/${PREFIX6} dev ${HOST_INTERFACE}`);
      commands.push(`address add ${next.ip6}/${PREFIX6} dev ${HOST_INTERFACE} nodad`);
    }
    await run('ip', ['-n', this.namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
    this.#address = next;
  }

  /** Sets the MTU (bytes of IP packet) at both ends of this host's cable. */
  async setMtu(mtu: number): Promise<void> {
    await run('ip', ['-n', this.namespace, 'link', 'set', HOST_INTERFACE, 'mtu', String(mtu)]);
    await run('ip', ['-n', this.#switchNamespace, 'link', 'set', this.#port, 'mtu', String(mtu)]);
  }
}
