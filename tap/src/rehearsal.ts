import { SystemError } from '@kith/base';
import { Aead } from '@kith/posix';
import { threadClock } from './clock.ts';
import type { DirectKeys } from './direct-keys.ts';
import { type RehearsalFrames, rehearsalFrames } from './rehearsal-frames.ts';
import { WorkerStage } from './worker-stage.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/** Rounds of all packets and some super-frames, after which V8 has compiled what a packet meets. */
const ROUNDS = 240;
/** A slow machine gets as far as it gets in this time, so that no start waits for it. */
const BUDGET_MS = 300;
/** What V8 has not seen a function do makes it give up its best code for it: so each thing is to be done early, and now and then. */
const ROUNDS_PER_INTERRUPT = 20;
/** In the time of a rehearsal some seconds must pass: addresses are noted as seen once in each. */
const FAST = 100;
/** Links are sealed more often than not. */
const ROUNDS_PER_PLAIN = 3;
/** Packets that a worker finds at once. */
const TOGETHER = 5;

/**
 * Sends frames through workers of its own. V8 compiles what it has seen run, for what it has seen it do; without this a node's first packets pay for it:
 * measured on 2 cores, its first second of TCP ran at half speed, and a lone ping took half as long again. False when the frames did not
 * arrive, as on a host whose loopback device is down: then all works as well, if later at full speed.
 */
export function rehearse(start: DirectionStart, direct: DirectStart, budgetMs: number = BUDGET_MS): boolean {
  const cipher = Aead.hasAesHardware() ? 'aes-256-gcm' : 'chacha20-poly1305';
  const sealed: DirectKeys = { mode: 'sealed', cipher, key: new Uint8Array(32), fixedIv: new Uint8Array(4) };
  const plain: DirectKeys = { mode: 'plain', tag: new Uint8Array(16) };
  const untilMs = threadClock()() + budgetMs;
  const stages: WorkerStage[] = [];
  try {
    // Two that take turns: what V8 compiles for the only worker there is, and its closures, is thrown away when the node's own begins to run.
    for (const clock of [threadClock(), fastClock()]) {
      stages.push(new WorkerStage(start, direct, [sealed, plain], clock));
    }
    return play(stages, start.mtu, untilMs);
  } catch (error) {
    // No descriptor, no loopback address: what the node itself lacks, its own start will tell.
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    for (const stage of stages) stage.close();
  }
}

function play(stages: readonly WorkerStage[], mtu: number, untilMs: number): boolean {
  const clock = threadClock();
  // All stages have the same links.
  const frames = stages[0]?.links.map((link) => rehearsalFrames(link, mtu)) ?? [];
  for (let round = 0; round < ROUNDS && clock() < untilMs; round++) {
    const stage = stages[round % stages.length];
    if (stage === undefined || !playRound(stage, frames, Math.floor(round / stages.length))) return false;
  }
  return true;
}

/** As threadClock. */
function fastClock(): () => number {
  const clock = threadClock();
  return () => clock() * FAST;
}

/** False when a frame did not arrive. */
function playRound(
  stage: WorkerStage,
  [toSealed, toPlain]: readonly RehearsalFrames[],
  round: number,
): boolean {
  const frames = round % ROUNDS_PER_PLAIN === 1 ? toPlain : toSealed;
  if (frames === undefined) return false;
  const last = toSealed?.packets.at(-1);
  if (round % ROUNDS_PER_INTERRUPT === 0 && last !== undefined) stage.interrupt(last);
  for (const packet of frames.packets) if (stage.pass(packet) === 0) return false;
  const superFrame = frames.superFrames[round % frames.superFrames.length];
  if (superFrame === undefined || stage.pass(superFrame) === 0) return false;
  // In another order each time: what may share a datagram or a send with what was before it.
  const at = round % frames.packets.length;
  const some = [...frames.packets.slice(at), ...frames.packets].slice(0, TOGETHER);
  return stage.passTogether([superFrame, ...some, superFrame]) > 0;
}
