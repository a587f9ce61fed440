import { SystemError } from '@kith/base';
import { Aead } from '@kith/posix';
import { threadClock } from './clock.ts';
import type { DirectKeys } from './direct-keys.ts';
import { STAGE_FRAME_BYTES, WorkerStage } from './worker-stage.ts';
import type { DirectionStart, DirectStart } from './worker-start.ts';

/** Rounds of one super-frame and some small frames, after which V8 has compiled what a packet meets. */
const ROUNDS = 60;
const SMALL_FRAMES = 30;
const SMALL_FRAME_BYTES = 98;
/** A slow machine gets as far as it gets in this time, so that no start waits for it. */
const BUDGET_MS = 150;

/**
 * Sends frames through a pair of workers of its own. V8 compiles what it has seen run; without this a node's first packets pay for it:
 * measured on 2 cores, its first second of TCP ran at half speed, and a lone ping took half as long again. False when the frames did not
 * arrive, as on a host whose loopback device is down: then all works as well, if later at full speed.
 */
export function rehearse(start: DirectionStart, direct: DirectStart): boolean {
  const cipher = Aead.hasAesHardware() ? 'aes-256-gcm' : 'chacha20-poly1305';
  const sealed: DirectKeys = { mode: 'sealed', cipher, key: new Uint8Array(32), fixedIv: new Uint8Array(4) };
  const plain: DirectKeys = { mode: 'plain', tag: new Uint8Array(16) };
  const half = BUDGET_MS / 2;
  try {
    return (
      play(new WorkerStage(start, direct, sealed), half) && play(new WorkerStage(start, direct, plain), half)
    );
  } catch (error) {
    // No descriptor, no loopback address: what the node itself lacks, its own start will tell.
    if (error instanceof SystemError) return false;
    throw error;
  }
}

function play(stage: WorkerStage, budgetMs: number): boolean {
  const clock = threadClock();
  const until = clock() + budgetMs;
  try {
    for (let round = 0; round < ROUNDS && clock() < until; round++) {
      if (stage.pass(STAGE_FRAME_BYTES) === 0) return false;
      for (let count = 0; count < SMALL_FRAMES; count++)
        if (stage.pass(SMALL_FRAME_BYTES) === 0) return false;
    }
    return true;
  } finally {
    stage.close();
  }
}
