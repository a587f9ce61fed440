import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { describeError } from '@kith/base';
import type { LinkStatus } from '@kith/protocol';
import { firstReply, type KithNode, measureTcp, OVERLAY_INTERFACE } from '../lab/index.ts';
import type { Kind } from './kinds.mjs';
import { expectation, type Reach } from './theory.ts';
import { accountOf, type End, situation } from './why.ts';
import type { World } from './world.ts';

/** One cell, as `--json` writes it. */
export interface CellResult {
  a: string;
  b: string;
  expected: Reach;
  /** Why theory expects that. */
  theory: string;
  connected: boolean;
  /** `channel`: the data channel without a relay; it works, but the direct carrier does not. */
  carrier: 'direct' | 'channel' | 'relayed' | null;
  path: string | null;
  /** From when both nodes were online at the hub, ms. */
  first_ping_ms: number | null;
  direct_ms: number | null;
  tcp_mbps: number | null;
  ok: boolean;
  /** What falls short, and what the nodes say about it; else the theory. */
  why: string;
}

export interface CellOptions {
  /** How long a pair may take to its first ping, from the start of both nodes, ms. */
  patienceMs: number;
  /** Length of the TCP run, s. */
  seconds: number;
  /** Runs what must not be disturbed by another cell. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Called with both ends of a cell that falls short, while they still run. */
  onShort(result: CellResult, ends: readonly End[]): Promise<void>;
}

/** A pair that can be direct gets there within a second or two; what takes longer than this has not. */
const DIRECT_PATIENCE_MS = 10_000;
/** Where nobody expects it: long enough to see a pair that is better than its theory. */
const SURPRISE_PATIENCE_MS = 3_000;
const POLL_MS = 20;

/** Runs two nodes at the two ends of a cell and measures what they get. Never throws: what goes wrong is the cell's result. */
export async function measureCell(world: World, a: Kind, b: Kind, options: CellOptions): Promise<CellResult> {
  const result: CellResult = {
    ...{ a: a.id, b: b.id, ...expectation(a, b) },
    ...{ connected: false, carrier: null, path: null, first_ping_ms: null, direct_ms: null, tcp_mbps: null },
    ...{ ok: false, why: '' },
  };
  const ends: End[] = [];
  try {
    const sites = await world.sites(a, b);
    for (const site of sites) {
      const problems = await world.verify(site);
      if (problems.length > 0) return { ...result, why: `the lab is wrong: ${problems.join('; ')}` };
    }
    const group = `${a.id}-${b.id}`;
    await world.hub.createGroup(group);
    for (const [index, site] of sites.entries()) {
      const { node, address } = await world.node(site, group);
      await rm(node.logFile, { force: true });
      ends.push({ end: index === 0 ? 'a' : 'b', node, address });
    }
    await run(result, ends, options);
  } catch (error) {
    result.why = describeError(error);
  }
  judge(result);
  if (!result.ok) {
    result.why = [result.why, ...(await Promise.all(ends.map(accountOf)))].filter(Boolean).join('; ');
    await options.onShort(result, ends);
  } else {
    result.why = result.theory;
  }
  await Promise.all(ends.map(({ node }) => node.down().catch(() => undefined)));
  return result;
}

async function run(result: CellResult, ends: readonly End[], options: CellOptions): Promise<void> {
  const [a, b] = ends;
  if (a === undefined || b === undefined) return;
  const reply = firstReply(b.node.host, OVERLAY_INTERFACE, a.address, options.patienceMs).catch(
    () => undefined,
  );
  await Promise.all(ends.map(({ node }) => node.up()));
  const repliedAt = await reply;
  const online = await Promise.all(ends.map(({ node }) => hubOnlineAt(node)));
  if (repliedAt === undefined) {
    result.why = online.includes(undefined)
      ? 'not both nodes are online at the hub'
      : `no ping within ${options.patienceMs / 1000} s`;
    return;
  }
  const bothOnlineAt = Math.max(...online.map((at) => at ?? Number.NEGATIVE_INFINITY));
  result.connected = true;
  result.first_ping_ms = Math.round(repliedAt - bothOnlineAt);
  const patience = result.expected === 'direct' ? DIRECT_PATIENCE_MS : SURPRISE_PATIENCE_MS;
  const directAt = await bothDirectAt(ends, performance.now() + patience);
  if (directAt !== undefined) result.direct_ms = Math.round(directAt - bothOnlineAt);
  try {
    const figures = await options.alone(() =>
      measureTcp(b.node.host, a.node.host, a.address, options.seconds),
    );
    result.tcp_mbps = Number(figures.mbps.toFixed(1));
  } catch (error) {
    result.why = `no TCP: ${describeError(error)}`;
  }
  const link = await situation(b.node);
  result.carrier = carrierOf(link);
  result.path = link?.path ?? null;
}

function judge(result: CellResult): void {
  const { connected, expected, carrier, tcp_mbps } = result;
  if (!connected) return;
  if (expected === 'direct' && carrier !== 'direct') {
    result.why = [result.why, `expected direct (${result.theory}), got ${carrier ?? 'nothing'}`]
      .filter(Boolean)
      .join('; ');
  }
  result.ok = tcp_mbps !== null && carrier !== null && (expected === 'relayed' || carrier === 'direct');
}

function carrierOf(link: LinkStatus | undefined): CellResult['carrier'] {
  if (link?.state !== 'online') return null;
  // The direct carrier may go by way of a TURN server as well.
  if (link.path?.startsWith('relay ') === true) return 'relayed';
  return link.carrier === 'direct' ? 'direct' : 'channel';
}

/** When the node came online at the hub (performance.now()); undefined while it is not. */
async function hubOnlineAt(node: KithNode): Promise<number | undefined> {
  const now = performance.now();
  const { hub } = await node.status();
  return hub.state === 'online' ? now - hub.since_ms : undefined;
}

/** When both ends were first seen on the direct carrier; undefined when they were not by the deadline. */
async function bothDirectAt(ends: readonly End[], deadline: number): Promise<number | undefined> {
  while (performance.now() < deadline) {
    const links = await Promise.all(ends.map(({ node }) => situation(node)));
    if (links.every((link) => carrierOf(link) === 'direct')) return performance.now();
    await pause(POLL_MS);
  }
  return undefined;
}
