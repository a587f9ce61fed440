import { readFile } from 'node:fs/promises';
import { Ejabberd, KithNode, type Lab } from '../lab/index.ts';
import { processesOn } from './process-table.ts';
import { nodeName, type Step } from './steps.ts';

const GROUP = 'friends';
const OVERLAY = '172.31.0.';

/** Everything the steps are done to. */
export class SoakWorld {
  readonly nodes: readonly KithNode[];
  /** Processes that a step ended, by pid. */
  readonly killed = new Set<number>();
  readonly #hub: Ejabberd;
  /** Users who are members by what the steps did. */
  readonly #members: Set<string>;

  private constructor(hub: Ejabberd, nodes: readonly KithNode[], members: Set<string>) {
    this.#hub = hub;
    this.nodes = nodes;
    this.#members = members;
  }

  /** A hub and so many nodes, of which the given ones are neither members nor started. */
  static async create(lab: Lab, count: number, late: readonly number[]): Promise<SoakWorld> {
    const hub = await Ejabberd.start(lab);
    await hub.createGroup(GROUP);
    const nodes: KithNode[] = [];
    const members = new Set<string>();
    for (let index = 0; index < count; index++) {
      const user = nodeName(index);
      await hub.register(user, `${user}-password`);
      if (!late.includes(index)) {
        members.add(user);
        await hub.addToGroup(user, GROUP);
      }
      nodes.push(
        await KithNode.create(lab, hub, await lab.host(user), {
          ...{ user, password: `${user}-password`, ip4: `${OVERLAY}${index + 1}/24`, group: GROUP },
        }),
      );
    }
    const world = new SoakWorld(hub, nodes, members);
    for (const [index, node] of nodes.entries()) if (!late.includes(index)) await node.up();
    return world;
  }

  /** Bare JID by which the others see a node. */
  jid(index: number): string {
    return this.#hub.jid(nodeName(index));
  }

  async perform(step: Step): Promise<void> {
    if (!('node' in step)) {
      if (step.kind === 'hub-stop') await this.#hub.stop();
      else if (step.kind === 'hub-kill') await this.#hub.kill9();
      else {
        await this.#hub.start();
        await this.#remindHub();
      }
      return;
    }
    const node = this.node(step.node);
    const user = nodeName(step.node);
    switch (step.kind) {
      case 'up':
        await node.up();
        return;
      case 'down':
        await this.#forgetProcesses(node);
        await node.down();
        return;
      case 'kill-tincan':
      case 'kill-controller':
      case 'kill-supervisor':
        return await this.#kill(node, step.kind);
      case 'cable-out':
        return await node.host.linkDown();
      case 'cable-in':
        return await node.host.linkUp();
      case 'loss-begin':
        return await setLoss(node, step.percent ?? 0);
      case 'loss-end':
        return await setLoss(node, 0);
      case 'admit':
        this.#members.add(user);
        return await this.#hub.addToGroup(user, GROUP);
      case 'revoke':
        this.#members.delete(user);
        return await this.#hub.removeFromGroup(user, GROUP);
    }
  }

  node(index: number): KithNode {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`there is no node ${index}`);
    return node;
  }

  /** The last lines of the hub's log. */
  async hubLogTail(lines: number): Promise<string> {
    const text = await readFile(this.#hub.logFile, 'utf8').catch(() => '');
    return `--- ${this.#hub.logFile}\n${text.trimEnd().split('\n').slice(-lines).join('\n')}\n`;
  }

  /** ejabberd writes to its disk a few seconds late: what was changed right before a power failure it has forgotten, and an administrator does it again. */
  async #remindHub(): Promise<void> {
    const known = new Set(await this.#hub.groupMembers(GROUP));
    for (let index = 0; index < this.nodes.length; index++) {
      const user = nodeName(index);
      const isMember = this.#members.has(user);
      if (known.has(this.jid(index)) === isMember) continue;
      if (isMember) await this.#hub.addToGroup(user, GROUP);
      else await this.#hub.removeFromGroup(user, GROUP);
    }
  }

  async #forgetProcesses(node: KithNode): Promise<void> {
    for (const { pid } of await processesOn(node)) this.killed.add(pid);
  }

  async #kill(node: KithNode, which: 'kill-tincan' | 'kill-controller' | 'kill-supervisor'): Promise<void> {
    const name = which.slice('kill-'.length);
    const processes = await processesOn(node);
    for (const process of processes) {
      // Who loses its supervisor ends by itself.
      if (process.name === name || name === 'supervisor') this.killed.add(process.pid);
    }
    const victim = processes.find((process) => process.name === name);
    if (victim !== undefined) process.kill(victim.pid, 'SIGKILL');
  }
}

/** Loses that share of all packets in and out of a host; 0 ends it. By nftables, since it comes and goes while the host runs. */
async function setLoss({ host }: KithNode, percent: number): Promise<void> {
  // Declared first, since deleting a table that is not there is an error.
  const clear = 'table inet soak\ndelete table inet soak\n';
  const chain = (hook: string): string =>
    `  chain ${hook} {\n    type filter hook ${hook} priority filter;\n` +
    `    iifname "lo" accept\n    oifname "lo" accept\n    numgen random mod 100 < ${percent} drop\n  }\n`;
  const rules = percent === 0 ? clear : `${clear}table inet soak {\n${chain('input')}${chain('output')}}\n`;
  await host.run('nft', ['-f', '-'], { input: rules });
}
