import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Reaper } from '../lab/reaper.ts';

// The data plane of the direct carrier over real TAP devices: two network namespaces joined by a veth pair, one Tap in each, keys fixed
// by hand. It runs from what `npm run build` made.

const NODE = fileURLToPath(new URL('./direct-node.mjs', import.meta.url));

const report = z.object({
  counters: z.record(z.string(), z.number()),
  stats: z.object({
    txDatagrams: z.number(),
    rxDatagrams: z.number(),
    lastReceivedMs: z.number(),
    source: z.object({ ip: z.string(), port: z.number() }).nullable(),
    sentSinceRekey: z.number(),
  }),
  pathErrors: z.array(z.string()),
  control: z.array(z.string()),
  uplink: z.number(),
  offload: z.object({ tso: z.boolean(), uso: z.boolean() }),
});
type Report = z.infer<typeof report>;

let namespaces: [string, string] = ['', ''];
let count = 0;
let children: ChildProcess[] = [];
let reaper: Reaper;

beforeEach(async () => {
  const [a, b] = [`kith-direct-${process.pid}-${count}a`, `kith-direct-${process.pid}-${count++}b`];
  namespaces = [a, b];
  // Whatever ends this process, the namespaces go.
  reaper = await Reaper.start();
  for (const namespace of namespaces) {
    await reaper.order({ namespace });
    ip('netns', 'add', namespace);
  }
  ip('link', 'add', 'wire', 'netns', a, 'type', 'veth', 'peer', 'name', 'wire', 'netns', b);
  for (const [index, namespace] of namespaces.entries()) {
    ip('-n', namespace, 'addr', 'add', `10.9.0.${index + 1}/24`, 'dev', 'wire');
    ip('-n', namespace, 'addr', 'add', `fd09::${index + 1}/64`, 'dev', 'wire', 'nodad');
    for (const device of ['lo', 'wire']) ip('-n', namespace, 'link', 'set', device, 'up');
  }
});

afterEach(async () => {
  await endChildren();
  await reaper.clean(true);
});

async function endChildren(): Promise<void> {
  const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  children = [];
  const ends = running.map((child) => once(child, 'exit'));
  for (const child of running) child.kill('SIGKILL');
  await Promise.all(ends);
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}

class Node {
  readonly namespace: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(namespace: string, child: ChildProcess, lines: Interface) {
    this.namespace = namespace;
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
  }

  static async start(index: 0 | 1, options: object): Promise<Node> {
    const side = index === 0 ? 'a' : 'b';
    const argument = JSON.stringify({ side, peer: `10.9.0.${2 - index}`, ...options });
    const child = start(index, process.execPath, NODE, argument);
    if (child.stdout === null) throw new Error('no output');
    const node = new Node(namespaces[index], child, createInterface({ input: child.stdout }));
    expect((await node.#lines.next()).value).toBe('ready');
    return node;
  }

  /** Gives the node a line of its own and returns its report. */
  async tell(line = ''): Promise<Report> {
    this.#child.stdin?.write(`${line}\n`);
    const { value } = await this.#lines.next();
    return report.parse(JSON.parse(String(value)));
  }
}

function start(index: 0 | 1, command: string, ...args: string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', namespaces[index], command, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

async function nodes(options: object): Promise<[Node, Node]> {
  return Promise.all([Node.start(0, options), Node.start(1, options)]);
}

/** The exit code of a ping from b to a. */
async function ping(...args: string[]): Promise<unknown> {
  const child = start(1, 'ping', '-n', '-q', ...args, '172.31.0.1');
  child.stdout?.resume();
  return (await once(child, 'exit'))[0];
}

const iperfResult = z.object({
  end: z.object({
    sum_sent: z.object({ bits_per_second: z.number(), retransmits: z.number() }),
    sum_received: z.object({ bytes: z.number() }),
  }),
});

/**
 * Segments of a namespace so far that were sent again and had arrived already, as their receiver says (DSACK, RFC 2883). A busy machine
 * needs no loss for them: a tail loss probe (RFC 8985 §7) is sent when an acknowledgement is a few milliseconds late, and a
 * retransmission timer of 200 ms runs out where the other end is off its processor for so long.
 */
function needlessCopies(index: 0 | 1): number {
  const text = execFileSync('ip', ['netns', 'exec', namespaces[index], 'cat', '/proc/net/netstat'], {
    encoding: 'utf8',
  });
  const [names = '', values = ''] = text.split('\n').filter((line) => line.startsWith('TcpExt:'));
  const at = names.split(' ').indexOf('TCPDSACKRecvSegs');
  expect(at).toBeGreaterThan(0);
  return Number(values.split(' ')[at]);
}

/** A TCP stream of two seconds from b to a (`-R`: from a to b). `retransmits` leaves out what was sent twice without need. */
async function iperf(...args: string[]): Promise<{ mbps: number; retransmits: number }> {
  const sender = args.includes('-R') ? 0 : 1;
  const needlessBefore = needlessCopies(sender);
  const server = start(0, 'iperf3', '-s', '-1', '--forceflush');
  const serverEnd = once(server, 'exit');
  if (server.stdout === null) throw new Error('no output');
  for await (const line of createInterface({ input: server.stdout })) if (line.includes('listening')) break;
  server.stdout.resume();
  const client = start(1, 'iperf3', '-J', '-t', '2', '-c', '172.31.0.1', ...args);
  if (client.stdout === null) throw new Error('no output');
  let output = '';
  for await (const chunk of client.stdout) output += String(chunk);
  // The next one listens on the same port; this one may still wait for a client that has given up.
  server.kill('SIGKILL');
  await serverEnd;
  const { end } = iperfResult.parse(JSON.parse(output));
  const needless = needlessCopies(sender) - needlessBefore;
  expect(end.sum_received.bytes).toBeGreaterThan(0);
  return {
    mbps: end.sum_sent.bits_per_second / 1e6,
    retransmits: Math.max(0, end.sum_sent.retransmits - needless),
  };
}

/** Counters of what must not happen on a healthy path. */
const LOSSES = [
  'dropped_bad_chunk',
  'dropped_forged',
  'dropped_replayed',
  'dropped_malformed',
  'dropped_oversize',
  'dropped_tap_write',
  'dropped_direct_send',
  'dropped_fragments',
  'direct_gso_disabled',
];

function losses({ counters }: Report): Record<string, number> {
  return Object.fromEntries(
    LOSSES.filter((name) => counters[name] !== 0).map((name) => [name, counters[name] ?? -1]),
  );
}

for (const [mode, workers] of [
  ['aes', 1],
  ['chacha', 1],
  ['plain', 1],
  ['aes', 2],
]) {
  test(`${mode}, workers ${workers}: TCP crosses as super-frames both ways, without a retransmission`, async () => {
    const [a, b] = await nodes({ mode, tap: { workers } });
    expect(await ping('-c', '3', '-i', '0.2')).toBe(0);
    expect(await ping('-c', '1', '-M', 'do', '-s', String(1360 - 28))).toBe(0);
    const forward = await iperf();
    const backward = await iperf('-R');
    console.log(`direct ${mode}: ${Math.round(forward.mbps)} and ${Math.round(backward.mbps)} Mbit/s`);
    expect([forward.retransmits, backward.retransmits]).toEqual([0, 0]);
    // A tenth of what a machine does that is busy with other things; without super-frames it would be less.
    expect(forward.mbps).toBeGreaterThan(300);
    const reports = [await a.tell(), await b.tell()];
    for (const each of reports) {
      expect(losses(each)).toEqual({});
      expect(each.pathErrors).toEqual([]);
      expect(each.stats.source?.port).toBe(5810);
    }
    const [first] = reports;
    // Half of its sends are acknowledgements; still the average one carries more than a super-frame's tenth.
    expect(first?.counters.tap_tx_bytes ?? 0).toBeGreaterThan(5_000 * (first?.counters.direct_sends ?? 0));
  });
}

test('with every offload off everything still passes', async () => {
  const tap = { offload: { tso: false, uso: false }, direct: { port: 5810, gso: false, gro: false } };
  const [a, b] = await nodes({ mode: 'aes', tap });
  expect(await ping('-c', '3', '-i', '0.2')).toBe(0);
  expect((await iperf()).mbps).toBeGreaterThan(50);
  for (const node of [a, b]) expect(losses(await node.tell())).toEqual({});
  expect((await a.tell()).offload).toEqual({ tso: false, uso: false });
});

test('one end without offloads understands one that has them', async () => {
  const plain = { offload: { tso: false, uso: false }, direct: { port: 5810, gso: false, gro: false } };
  const [a, b] = await Promise.all([
    Node.start(0, { mode: 'aes' }),
    Node.start(1, { mode: 'aes', tap: plain }),
  ]);
  expect((await iperf()).mbps).toBeGreaterThan(50);
  expect((await iperf('-R')).mbps).toBeGreaterThan(50);
  for (const node of [a, b]) expect(losses(await node.tell())).toEqual({});
});

test('over IPv6, on a path of its least MTU, frames of every size pass', async () => {
  const options = { mode: 'aes', datagramBytes: 1232 };
  const [a, b] = await Promise.all([
    Node.start(0, { ...options, peer: 'fd09::2' }),
    Node.start(1, { ...options, peer: 'fd09::1' }),
  ]);
  expect(await ping('-c', '1', '-M', 'do', '-s', String(1360 - 28))).toBe(0);
  expect((await iperf()).retransmits).toBe(0);
  for (const node of [a, b]) expect(losses(await node.tell())).toEqual({});
  expect((await a.tell()).stats.source?.ip).toBe('fd09::2');
});

test('keys change under load without a retransmission', async () => {
  const [a, b] = await nodes({ mode: 'aes' });
  expect(await ping('-c', '2', '-i', '0.2')).toBe(0);
  // What the one that was up first sent to the other before that had any key, such as its kernel's router solicitation.
  const { dropped_unknown_receiver: early } = (await b.tell()).counters;
  const measured = iperf();
  for (let round = 0; round < 20; round++) {
    await Promise.all([a.tell('rekey'), b.tell('rekey')]);
    // At once: the commands to add the receivers may still be in the workers' rings.
    await Promise.all([a.tell('switch'), b.tell('switch')]);
    // So that the keys change while the stream flows, and not all before it.
    await ping('-c', '1');
  }
  expect((await measured).retransmits).toBe(0);
  const end = await b.tell();
  expect(losses(end)).toEqual({});
  expect(end.counters.dropped_unknown_receiver).toBe(early);
  expect(end.stats.sentSinceRekey).toBeLessThan(end.stats.txDatagrams);
});

test('probes pass between the main threads beside the data', async () => {
  const [a, b] = await nodes({ mode: 'aes' });
  await a.tell('probe');
  expect(await ping('-c', '2', '-i', '0.2')).toBe(0);
  expect((await b.tell()).control).toEqual(['1200 from 10.9.0.1']);
  expect((await a.tell()).control).toEqual(['1200 from 10.9.0.2']);
});

test('a path that takes no datagrams of this size is reported', async () => {
  const [, b] = await nodes({ mode: 'aes', datagramBytes: 1473 });
  await iperf().catch(() => undefined);
  expect((await b.tell()).pathErrors).toContain('EMSGSIZE');
});

test('addresses are translated both ways, super-frames included', async () => {
  const results: number[] = [];
  for (const network of ['layer3', 'social']) {
    const [a, b] = await nodes({ mode: 'aes', network });
    expect(await ping('-c', '3', '-i', '0.2')).toBe(0);
    expect(await ping('-c', '1', '-M', 'do', '-s', String(1360 - 28))).toBe(0);
    expect(await ping('-c', '1', '-s', '4000')).toBe(0);
    const forward = await iperf();
    const backward = await iperf('-R');
    expect([forward.retransmits, backward.retransmits]).toEqual([0, 0]);
    results.push(forward.mbps, backward.mbps);
    for (const node of [a, b]) {
      const report = await node.tell();
      expect(losses(report)).toEqual({});
      expect(report.counters).toMatchObject({ dropped_spoofed_ip: 0, dropped_not_layer3: 0 });
      expect(report.counters.neighbour_answers).toBeGreaterThan(0);
    }
    await endChildren();
  }
  console.log(`untranslated and translated: ${results.map(Math.round).join(', ')} Mbit/s`);
  // Not compared here: what a busy machine makes of the same thing twice differs by more. test/bench/translation.ts tells the cost.
  for (const mbps of results) expect(mbps).toBeGreaterThan(300);
});

test('addresses are translated where one end takes no super-frames, each segment once', async () => {
  const tap = { offload: { tso: false, uso: false }, direct: { port: 5810, gso: false, gro: false } };
  const [a, b] = await Promise.all([
    Node.start(0, { mode: 'aes', network: 'social' }),
    Node.start(1, { mode: 'aes', network: 'social', tap }),
  ]);
  expect((await iperf()).mbps).toBeGreaterThan(50);
  // From super-frames to segments.
  expect((await iperf('-R')).mbps).toBeGreaterThan(50);
  for (const node of [a, b]) {
    const report = await node.tell();
    expect(losses(report)).toEqual({});
    expect(report.counters.dropped_spoofed_ip).toBe(0);
  }
});
