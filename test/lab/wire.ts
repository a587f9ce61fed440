import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SystemError } from '@kith/base';
import { ended, run } from './command.ts';
import { HOST_INTERFACE, type Host, PREFIX4, PREFIX6 } from './host.ts';
import type { Lab } from './lab.ts';
import type { Impairment } from './wire-fate.ts';
import type { WireCounters, WireStart } from './wire-start.ts';

export interface WireOptions {
  /** What frames on their way to the host suffer. Left out parts: none. */
  toHost?: Partial<Impairment>;
  fromHost?: Partial<Impairment>;
  /** The same seed gives the same fates to the n-th frame of each direction. Default 1. */
  seed?: number;
}

const PERFECT: Impairment = { delayMs: 0, loss: 0, reorder: 0, reorderMs: 1 };
/**
 * Frames that a TAP device holds until the wire's process has its turn. The kernel's own 1000 (TUN_READQ_SIZE) are overrun by two
 * TCP windows at once, and the loss of this wire must be the one asked for.
 */
const TX_QUEUE_FRAMES = 10_000;

// This file runs as test/lab/wire.ts (vitest) and as test/dist/lab/wire.js; its program must be JavaScript.
const BUILT = new URL(import.meta.url.includes('/test/dist/lab/') ? './' : '../dist/lab/', import.meta.url);

/** An impaired cable between a host of a lab and the switch. */
export class Wire {
  readonly #process: ChildProcess;
  readonly #countersFile: string;

  private constructor(process: ChildProcess, countersFile: string) {
    this.#process = process;
    this.#countersFile = countersFile;
  }

  /**
   * Replaces the host's cable by one with delay, loss and reordering. Frames are whole Ethernet frames of at most the MTU (1500):
   * segmentation offload ends at this cable, so that a loss is the loss of one packet, as outside of a lab. The host keeps its
   * addresses; the carrier no longer falls with `linkDown`. The wire stays until the lab or the host ends.
   */
  static async insert(lab: Lab, host: Host, options: WireOptions = {}): Promise<Wire> {
    const { switchNamespace, port } = host.cable;
    const start: WireStart = {
      portName: `${port}-s`,
      hostName: `${port}-h`,
      countersFile: join(await lab.directory(host.name), 'wire.json'),
      toHost: { ...PERFECT, ...options.toHost },
      fromHost: { ...PERFECT, ...options.fromHost },
      seed: options.seed ?? 1,
    };
    const program = fileURLToPath(new URL('wire-main.js', BUILT));
    // In the switch's namespace, so that it is none of the host's processes.
    const child = spawn(
      'ip',
      ['netns', 'exec', switchNamespace, process.execPath, program, JSON.stringify(start)],
      // A group of its own: Ctrl-C in a terminal is for the lab's owner.
      { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
    );
    // The reaper ends it; it must not keep its owner alive.
    child.unref();
    const wire = new Wire(child, start.countersFile);
    await wire.#ready();
    const link = `-j -n ${host.namespace} link show dev ${HOST_INTERFACE}`;
    const mac = macOf(await run('ip', link.split(' ')));
    // The far end of a veth goes with the near one.
    await run('ip', ['-n', host.namespace, 'link', 'delete', 'dev', HOST_INTERFACE]);
    await run('ip', ['-n', switchNamespace, 'link', 'set', 'dev', start.hostName, 'netns', host.namespace]);
    await batch(switchNamespace, [
      `link set dev ${start.portName} name ${port} txqueuelen ${TX_QUEUE_FRAMES}`,
      `link set dev ${port} addrgenmode none`,
      `link set dev ${port} up`,
    ]);
    await batch(host.namespace, [
      `link set dev ${start.hostName} name ${HOST_INTERFACE} address ${mac} txqueuelen ${TX_QUEUE_FRAMES}`,
      `address add ${host.ip4}/${PREFIX4} dev ${HOST_INTERFACE}`,
      `address add ${host.ip6}/${PREFIX6} dev ${HOST_INTERFACE} nodad`,
      `link set dev ${HOST_INTERFACE} up`,
    ]);
    // Last: what the switch floods to a port whose host is still down, the host's end refuses and the wire counts.
    await run('ip', ['-n', switchNamespace, 'link', 'set', 'dev', port, 'master', 'switch']);
    return wire;
  }

  async #ready(): Promise<void> {
    const { stdout } = this.#process;
    if (stdout !== null) {
      // Leaving the loop closes the pipe, on which nothing more comes.
      for await (const line of createInterface({ input: stdout })) if (line === 'ready') return;
    }
    throw new SystemError('WIRE_NOT_STARTED', `the wire's process ended: ${await ended(this.#process)}`);
  }

  /** Counters of both directions, at most a tenth of a second old. */
  async counters(): Promise<{ to_host: WireCounters; from_host: WireCounters }> {
    return JSON.parse(await readFile(this.#countersFile, 'utf8'));
  }

  /** Pid of the process that is the wire, for who counts its CPU time. */
  get pid(): number | undefined {
    return this.#process.pid;
  }
}

function macOf(output: string): string {
  const mac = /"address":"([0-9a-f:]{17})"/.exec(output)?.[1];
  if (mac === undefined) throw new SystemError('NO_MAC', `ip(8) shows no MAC address: ${output}`);
  return mac;
}

async function batch(namespace: string, commands: readonly string[]): Promise<void> {
  await run('ip', ['-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}
