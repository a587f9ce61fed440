import { expect, test } from 'vitest';
import type { DirectKeys } from './direct-keys.ts';
import { directionStart } from './test-direction-start.ts';
import { allocatedBy } from './test-heap-sampling.ts';
import { STAGE_FRAME_BYTES, WorkerStage } from './worker-stage.ts';

const WARM_UP = 1500;
const ROUNDS = 500;
const SMALL_FRAMES = 8;

/** Making frames, which is none of the workers' work. */
const OF_THE_STAGE = ['pass', 'writeRehearsalFrame', 'newVirtioHeader'];
/** The clock is read once when a worker wakes, however many packets it finds. */
const PER_WAKE_UP = ['now', 'step'];

const MODES: readonly [string, DirectKeys][] = [
  ['sealed', { mode: 'sealed', cipher: 'aes-256-gcm', key: new Uint8Array(32), fixedIv: new Uint8Array(4) }],
  ['plain', { mode: 'plain', tag: new Uint8Array(16) }],
];

test.each(MODES)('the loops of both workers allocate nothing per packet: %s', (_mode, keys) => {
  const start = directionStart(true);
  const stage = new WorkerStage(start, start.direct, keys);
  let arrived = 0;
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      arrived += stage.pass(STAGE_FRAME_BYTES);
      arrived += stage.pass(98, SMALL_FRAMES);
    }
  };
  try {
    rounds(WARM_UP);
    arrived = 0;
    const allocated = allocatedBy(() => rounds(ROUNDS));
    expect(arrived).toBe(ROUNDS * (1 + SMALL_FRAMES));
    const sum = Object.entries(allocated)
      .filter(([name]) => !OF_THE_STAGE.includes(name) && !PER_WAKE_UP.includes(name))
      .reduce((total, [, bytes]) => total + bytes, 0);
    // One boxed number for each of a round's 37 datagrams or 9 frames would be 144 bytes and more.
    expect(sum / ROUNDS, JSON.stringify(allocated)).toBeLessThan(80);
  } finally {
    stage.close();
  }
});
