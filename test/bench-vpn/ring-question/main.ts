// Should each tap worker take a frame all the way, or be split into two threads with a ring between them? Measured on two hosts of a
// lab with the same sealing, socket and TAP code in both shapes:  node test/dist/bench-vpn/ring-question/main.js [ROUNDS [SECONDS]]
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describeError, SystemError } from '@kith/base';
import { ended, firstReply, type Host, Lab } from '../../lab/index.ts';
import { usage } from '../processes.ts';
import { describeMachine, thisMachine } from '../results.ts';
import { percentile, type Spread, spread } from '../statistics.ts';
import { CLIENT_ADDRESS, PREFIX, SERVER_ADDRESS } from '../system.ts';
import { roundTrips, tcp } from '../workload.ts';
import { newKey, PORT, type Shape, type TunnelStart } from './tunnel.ts';

const INTERFACE = 'ring0';
const MTU = 1400;
const REPLY_TIMEOUT_MS = 10_000;
const SHAPES: readonly Shape[] = ['whole', 'split'];
const NODE = fileURLToPath(new URL('./node.js', import.meta.url));

const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Run {
  mbps: number;
  cpuPerGb: number;
  retransmits: number;
  pingMs: number;
  /** What the two ends dropped, in words. */
  drops: string;
}

/** Starts one end; the result ends it and returns what it dropped, in words. */
async function startNode(host: Host, start: TunnelStart, address: string): Promise<() => Promise<string>> {
  const child = host.spawn(process.execPath, [NODE, JSON.stringify(start)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { stdout } = child;
  if (stdout === null) throw new SystemError('RING_NODE', 'a process without standard output');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  if ((await lines.next()).value !== 'ready') {
    throw new SystemError('RING_NODE', `${host.name}: the tunnel does not start: ${await ended(child)}`);
  }
  await host.run('ip', ['address', 'add', `${address}/${PREFIX}`, 'dev', INTERFACE]);
  await host.run('ip', ['link', 'set', 'dev', INTERFACE, 'mtu', String(MTU), 'up']);
  return async () => {
    child.kill('SIGTERM');
    const { value } = await lines.next();
    await ended(child);
    return value ?? '';
  };
}

async function runOnce(
  lab: Lab,
  shape: Shape,
  sealed: boolean,
  flows: number,
  seconds: number,
): Promise<Run> {
  const client = await lab.host('alice');
  const server = await lab.host('bob');
  const common = { shape, interfaceName: INTERFACE, port: PORT, ...(sealed ? { key: newKey() } : {}) };
  const stops: (() => Promise<string>)[] = [];
  const run: Run = { mbps: 0, cpuPerGb: 0, retransmits: 0, pingMs: 0, drops: '' };
  try {
    for (const [host, peer, address] of [
      [server, client, SERVER_ADDRESS],
      [client, server, CLIENT_ADDRESS],
    ] as const) {
      stops.push(await startNode(host, { ...common, localIp: host.ip4, peerIp: peer.ip4 }, address));
    }
    await firstReply(client, INTERFACE, SERVER_ADDRESS, REPLY_TIMEOUT_MS);
    const course = { client, server, serverAddress: SERVER_ADDRESS };
    run.pingMs = percentile(await roundTrips(course, 1), 50);
    const pids = [...(await client.pids()), ...(await server.pids())];
    const before = await usage(pids);
    const { mbps, bytes, retransmits } = await tcp(course, seconds, flows);
    const after = await usage(pids);
    Object.assign(run, { mbps, retransmits });
    run.cpuPerGb = (after.cpuSeconds - before.cpuSeconds) / (bytes / 1e9);
  } finally {
    run.drops = (await Promise.all(stops.map((stop) => stop()))).filter(Boolean).join(', ');
  }
  return run;
}

async function ask(lab: Lab, rounds: number, seconds: number): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const sealed of [true, false]) {
      for (const flows of [1, 2]) {
        // In turn, so that whatever else the machine does hits both.
        for (const shape of SHAPES) {
          const name = `${sealed ? 'sealed' : 'clear '}  ${flows === 1 ? '1 flow ' : '2 flows'}  ${shape}`;
          const run = await runOnce(lab, shape, sealed, flows, seconds);
          runs.set(name, [...(runs.get(name) ?? []), run]);
          say(`  round ${round}  ${name}  ${run.mbps.toFixed(0)} Mbit/s  ${run.drops}`);
        }
      }
    }
  }
  say(`\n${describeMachine(thisMachine())}; ${rounds} rounds of ${seconds} s; median (least–greatest)`);
  for (const [name, list] of [...runs].sort()) {
    const of = (key: Exclude<keyof Run, 'drops'>, digits: number): string =>
      show(spread(list.map((run) => run[key])), digits);
    const cost = `${of('cpuPerGb', 2)} CPU s/GB  ping ${of('pingMs', 3)} ms  ${of('retransmits', 0)} retransmits`;
    say(`${name}  ${of('mbps', 0)} Mbit/s  ${cost}`);
  }
}

function show({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

const [rounds = 3, seconds = 4] = process.argv.slice(2).map(Number);
const lab = await Lab.create({ name: 'ring' });
try {
  await ask(lab, rounds, seconds);
} catch (error) {
  process.stderr.write(`FAILED: ${describeError(error)}\n`);
  process.exitCode = 1;
} finally {
  await lab.destroy();
}
