import { expect, test } from 'vitest';
import type { DirectKeys } from './direct-keys.ts';
import { rehearsalFrames } from './rehearsal-frames.ts';
import { directionStart } from './test-direction-start.ts';
import { allocatedBy } from './test-heap-sampling.ts';
import { WorkerStage } from './worker-stage.ts';

const WARM_UP = 1500;
const ROUNDS = 500;
const SMALL_FRAMES = 8;

/** Making frames and telling the time, which is none of the worker's work. */
const OF_THE_STAGE = ['pass', '#put', '#carry', '#takeArrived'];
/** The clock is read once when a worker wakes, however many packets it finds; V8 may make one function of these. */
const PER_WAKE_UP = ['now', 'step', 'turn', 'look'];
/** Of WorkerStage.pass(), which is called twice in a round. */
const WAKE_UPS_PER_ROUND = 2 * 3;

const MODES: readonly [string, DirectKeys][] = [
  ['sealed', { mode: 'sealed', cipher: 'aes-256-gcm', key: new Uint8Array(32), fixedIv: new Uint8Array(4) }],
  ['plain', { mode: 'plain', tag: new Uint8Array(16) }],
];

test.each(MODES)(
  'the loop of a worker allocates nothing per packet, in either direction: %s',
  (_mode, keys) => {
    const start = directionStart(true);
    const stage = new WorkerStage(start, start.direct, [keys]);
    const [link] = stage.links;
    if (link === undefined) throw new Error('no link');
    const { packets, superFrames } = rehearsalFrames(link, start.mtu);
    const [superFrame] = superFrames;
    const echo = packets[4];
    if (superFrame === undefined || echo === undefined) throw new Error('no frames');
    let arrived = 0;
    const rounds = (count: number): void => {
      for (let round = 0; round < count; round++) {
        arrived += stage.pass(superFrame);
        arrived += stage.pass(echo, SMALL_FRAMES);
      }
    };
    try {
      rounds(WARM_UP);
      arrived = 0;
      const allocated = allocatedBy(() => rounds(ROUNDS));
      expect(arrived).toBe(ROUNDS * (1 + SMALL_FRAMES));
      const bytesOf = (wished: (name: string) => boolean): number =>
        Object.entries(allocated)
          .filter(([name]) => !OF_THE_STAGE.includes(name) && wished(name))
          .reduce((total, [, bytes]) => total + bytes, 0) / ROUNDS;
      // One boxed number for each of a round's 37 datagrams or 9 frames would be 144 bytes and more.
      expect(
        bytesOf((name) => !PER_WAKE_UP.includes(name)),
        JSON.stringify(allocated),
      ).toBeLessThan(80);
      // The time of a wake-up is one boxed number, how long ago the last look was another.
      expect(
        bytesOf((name) => PER_WAKE_UP.includes(name)) / WAKE_UPS_PER_ROUND,
        JSON.stringify(allocated),
      ).toBeLessThan(40);
    } finally {
      stage.close();
    }
  },
);
