import { setTimeout as pause } from 'node:timers/promises';
import { describeError, SystemError } from '@kith/base';
import { firstReply, OVERLAY_INTERFACE } from '../lab/index.ts';
import type { EventContext, RecoveryEvent, RunningPair } from './events.ts';
import { kindNamed } from './kinds.mjs';
import { outage, PingStream } from './ping-stream.ts';
import { accountOf, type End, situation } from './why.ts';
import type { World } from './world.ts';

export interface EventFigures {
  /** The longest time without a reply. */
  silence_ms: number;
  /** From the event, or from its end where it lasts, until replies came again after it; null: never within the watch. */
  back_ms: number | null;
  /** From the end of the event until both ends were on their best path again and heard on it. */
  best_ms: number | null;
  answered_percent: number;
}

/** Before an event the pair rests on its best path for so long, so that no earlier event is measured. */
const SETTLED_MS = 3_000;
const SETTLE_TIMEOUT_MS = 90_000;
/** How long after an event the pair is watched for its best path. */
const WATCH_MS = 45_000;
const POLL_MS = 25;

/** Makes the event's pair, lets it happen `runs` times, and tells of each run its figures, or in words why there are none. */
export async function measureEvent(
  world: World,
  event: RecoveryEvent,
  context: EventContext,
  runs: number,
  tell: (run: number, outcome: EventFigures | string) => void,
): Promise<void> {
  const pair = await prepare(world, event);
  for (let run = 1; run <= runs; run++) {
    try {
      // Fresh nodes for every run: a link that has moved to a relay once gets over the next event in another way.
      await Promise.all(pair.ends.map(({ node }) => node.up()));
      tell(run, await once(pair, event, context));
    } catch (error) {
      const accounts = await Promise.all(pair.ends.map(accountOf));
      tell(run, `${describeError(error)}; ${accounts.join('; ')}`);
    } finally {
      await Promise.all(pair.ends.map(({ node }) => node.down().catch(() => undefined)));
    }
  }
}

async function prepare(world: World, event: RecoveryEvent): Promise<RunningPair> {
  const [a, b] = event.kinds;
  const sites = await world.sites(kindNamed(a), kindNamed(b));
  const group = `recovery-${event.name}`;
  await world.hub.createGroup(group);
  const [siteA, siteB] = sites;
  const ends: [End, End] = [
    { end: 'a', ...(await world.node(siteA, group)) },
    { end: 'b', ...(await world.node(siteB, group)) },
  ];
  const pair: RunningPair = { world, a: siteA, b: siteB, ends };
  await event.prepare?.(pair);
  return pair;
}

async function once(pair: RunningPair, event: RecoveryEvent, context: EventContext): Promise<EventFigures> {
  const [a, b] = pair.ends;
  await settled(pair, event);
  const ping = new PingStream(b.node.host, a.address);
  try {
    await pause(1_000);
    const startedAt = performance.now();
    await event.happen(pair, context);
    const endedAt = performance.now();
    const bestAt = await bestPath(pair, event, endedAt);
    // The last gap must end, or show that it does not.
    await pause(500);
    const now = performance.now();
    const from = event.lasts === true ? endedAt : startedAt;
    const replies = event.lasts === true ? ping.replies.filter((at) => at >= from) : ping.replies;
    const { longestMs, backMs } = outage(replies, from, now);
    const { answered } = outage(ping.replies, startedAt, event.lasts === true ? endedAt : now);
    // A path that has just died is still called active, so the first replies on it count as well.
    const heardAt = backMs === null ? null : from + backMs;
    return {
      silence_ms: Math.round(longestMs),
      back_ms: backMs === null ? null : Math.round(backMs),
      best_ms:
        bestAt === null || heardAt === null ? null : Math.round(Math.max(bestAt, heardAt, endedAt) - endedAt),
      answered_percent: Math.round(answered * 100),
    };
  } finally {
    await ping.stop();
    await event.restore?.(pair);
  }
}

/** Waits until both ends have been on their best path for a while, with replies. */
async function settled(pair: RunningPair, event: RecoveryEvent): Promise<void> {
  const [a, b] = pair.ends;
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  let since = performance.now();
  while (performance.now() < deadline) {
    if (!(await onBestPath(pair, event))) since = performance.now();
    else if (performance.now() - since >= SETTLED_MS) {
      await firstReply(b.node.host, OVERLAY_INTERFACE, a.address, SETTLED_MS);
      return;
    }
    await pause(100);
  }
  throw new SystemError('NEVER_SETTLED', `not on its best path within ${SETTLE_TIMEOUT_MS / 1000} s`);
}

/** When the pair was first seen to be on its best path and to answer; null when it was not within the watch. */
async function bestPath(pair: RunningPair, event: RecoveryEvent, from: number): Promise<number | null> {
  const [a, b] = pair.ends;
  const deadline = from + WATCH_MS;
  let since: number | undefined;
  while (performance.now() < deadline) {
    const isBest = (await onBestPath(pair, event)) && (await event.isWell?.(pair)) !== false;
    since = isBest ? (since ?? performance.now()) : undefined;
    if (since !== undefined && performance.now() - since > SETTLED_MS) {
      const reply = await b.node.host.exec('ping', ['-n', '-c', '1', '-W', '1', a.address]);
      if (reply.code === 0) return since;
      since = undefined;
    }
    await pause(POLL_MS);
  }
  return null;
}

async function onBestPath(pair: RunningPair, event: RecoveryEvent): Promise<boolean> {
  for (const { node } of pair.ends) {
    const link = await situation(node);
    if (link?.state !== 'online') return false;
    const status = await node.status();
    if (event.needsHub && status.hub.state !== 'online') return false;
    if (event.best === 'direct' ? link.carrier !== 'direct' : link.path?.startsWith('relay ') !== true)
      return false;
  }
  return true;
}
