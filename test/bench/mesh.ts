// A full mesh of nodes on one machine: how long it takes, what a node costs, what the hub carries.
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '@kith/base';
import { Ejabberd, GROUP, introduce, KithNode, type Lab } from '../lab/index.ts';
import { rounded, runBench, say, table } from './bench.ts';
import { countHubTraffic, type HubTraffic } from './hub-traffic.ts';
import { type NodeProcess, processesOf, usageOfEach } from './node-processes.ts';

const MESH_TIMEOUT_MS = 2_400_000;
const POLL_MS = 500;
/** Below this the machine would begin to drop pages of running programs, and measure that. */
const MEMORY_RESERVE_MB = 2_000;

await runBench({
  name: 'mesh',
  // A new node costs a core 2 s and 0.3 s more for each node that is there already: from some thirty nodes on, two cores are busy for
  // longer than any link waits for its other end when several start at once.
  options: { nodes: 10, starts: 4, settle: 30, seconds: 30 },
  work: async ({ lab, options: { nodes: count, starts, settle, seconds } }) => {
    const hub = await Ejabberd.start(lab);
    const nodes = await makeNodes(lab, hub, count);
    const traffic = await countHubTraffic(hub.host, hub.ports.starttls, hub.ports.stun);
    const started = await startAll(nodes, starts);
    const meshSeconds = await untilMesh(nodes, started.at);
    const links = (count * (count - 1)) / 2;
    const made = await traffic();
    say(`full mesh of ${count} nodes, ${links} links, after ${rounded(meshSeconds)} s`);

    const processes = await processesOf(...nodes);
    await pause(settle * 1000);
    const [before, calm] = [await usageOfEach(processes), await traffic()];
    await pause(seconds * 1000);
    const [after, later] = [await usageOfEach(processes), await traffic()];
    const share = await proportionalMegabytes(processes);
    const per = (name: string): { cpu_percent: number; rss_mb: number; pss_mb: number } => {
      const chosen = processes.flatMap((process, index) => (process.name.endsWith(name) ? [index] : []));
      const sum = (of: (index: number) => number): number =>
        chosen.reduce((total, index) => total + of(index), 0) / count;
      const cpu = sum((index) => (after[index]?.cpuSeconds ?? 0) - (before[index]?.cpuSeconds ?? 0));
      return {
        cpu_percent: rounded((cpu / seconds) * 100, 3),
        rss_mb: rounded(sum((index) => after[index]?.rssMegabytes ?? 0)),
        pss_mb: rounded(sum((index) => share[index] ?? 0)),
      };
    };
    const results = Object.fromEntries(
      ['supervisor', 'tincan', 'controller', ''].map((name) => [name === '' ? 'node' : name, per(name)]),
    );
    table(
      ['per node', 'idle CPU %', 'RSS MB', 'PSS MB'],
      Object.entries(results).map(([name, figures]) => [name, ...Object.values(figures)]),
    );
    const cpuSeconds = before.reduce((sum, { cpuSeconds: used }) => sum + used, 0);
    return {
      ...{ links, mesh_s: rounded(meshSeconds), start_s: rounded(started.seconds) },
      cpu_s_until_settled: rounded(cpuSeconds),
      signalling_bytes: made.signalling,
      signalling_bytes_per_link: Math.round(made.signalling / links),
      stun_bytes_per_node: Math.round(made.stun / count),
      idle_hub_bytes_per_node_s: rounded((total(later) - total(calm)) / count / seconds),
      per_node: results,
    };
  },
});

async function makeNodes(lab: Lab, hub: Ejabberd, count: number): Promise<KithNode[]> {
  await hub.createGroup(GROUP);
  const nodes: KithNode[] = [];
  for (let index = 1; index <= count; index++) {
    const user = `n${index}`;
    await hub.register(user, `${user}-password`);
    await hub.addToGroup(user, GROUP);
    const options = { user, password: `${user}-password`, ip4: `172.31.0.${index}/24`, group: GROUP };
    nodes.push(await KithNode.create(lab, hub, await lab.host(user), options));
  }
  await introduce([hub.host, ...nodes.map(({ host }) => host)]);
  return nodes;
}

/**
 * Starts all nodes, `atOnce` at a time, the next when one has its links to those before it. `at`: when the first began; `seconds`: until
 * the last was up.
 */
async function startAll(
  nodes: readonly KithNode[],
  atOnce: number,
): Promise<{ at: number; seconds: number }> {
  const waiting = [...nodes];
  let running = 0;
  const at = performance.now();
  const worker = async (): Promise<void> => {
    for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
      const free = await availableMegabytes();
      if (free < MEMORY_RESERVE_MB) {
        throw new SystemError(
          'NO_MEMORY',
          `${free} MB of memory are left with ${waiting.length} nodes to start`,
        );
      }
      await node.up();
      const others = running++;
      await untilLinked(node, others, at);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { at, seconds: (performance.now() - at) / 1000 };
}

/** Seconds from `since` until every node has a link to every other. */
async function untilMesh(nodes: readonly KithNode[], since: number): Promise<number> {
  const open = new Set(nodes);
  for (;;) {
    for (const node of open) {
      // Later polls ask only who was not complete: a status of fifty links is work for the one who is measured.
      if ((await onlineLinks(node)) === nodes.length - 1) open.delete(node);
      else break;
    }
    if (open.size === 0) return (performance.now() - since) / 1000;
    await nextPoll(since, `${open.size} of ${nodes.length} nodes are not complete`);
  }
}

async function untilLinked(node: KithNode, others: number, since: number): Promise<void> {
  for (;;) {
    const online = await onlineLinks(node);
    if (online >= others) return;
    await nextPoll(since, `${node.host.name} has ${online} links to the ${others} nodes before it`);
  }
}

async function nextPoll(since: number, problem: string): Promise<void> {
  if (performance.now() - since > MESH_TIMEOUT_MS)
    throw new SystemError('NO_MESH', `${problem} after ${MESH_TIMEOUT_MS / 60_000} min`);
  await pause(POLL_MS);
}

async function onlineLinks(node: KithNode): Promise<number> {
  const status = await node.status().catch(() => undefined);
  return status?.links.filter(({ state }) => state === 'online').length ?? 0;
}

/** Memory of each process with what it shares counted in parts (Pss of smaps_rollup, proc(5)): sums of it are real. */
async function proportionalMegabytes(processes: readonly NodeProcess[]): Promise<number[]> {
  return Promise.all(
    processes.map(async ({ pid }) => {
      const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
      return (Number(/^Pss:\s*(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN) * 1024) / 1e6;
    }),
  );
}

async function availableMegabytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Math.round((Number(/^MemAvailable:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024) / 1e6);
}

function total({ signalling, stun }: HubTraffic): number {
  return signalling + stun;
}
