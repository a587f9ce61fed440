import { expect, test } from 'vitest';
import { EGRESS_PACE, newPace, Pace } from './pace.ts';
import { StreamMode } from './stream-mode.ts';

/** A stream of half a second, as a pace sees it, between two silences. */
const STREAM_MS = [500, 1_000] as const;
const END_MS = 1_500;
const LOOK_MS = 60;
const BYTES_PER_LOOK = 8_000_000;

test.each([true, false])(
  'code is compiled early while a stream flows and late after it, told once each (the thread may be scheduled otherwise: %s)',
  (mayChange) => {
    const told: [ms: number, early: boolean][] = [];
    let nowMs = 0;
    const mode = new StreamMode((early) => told.push([nowMs, early]), { setBatch: () => mayChange });
    const pace = new Pace(newPace(), EGRESS_PACE, 0, mode);
    for (; nowMs < END_MS; nowMs += LOOK_MS) {
      if (nowMs >= STREAM_MS[0] && nowMs < STREAM_MS[1]) pace.add(BYTES_PER_LOOK);
      pace.look(nowMs);
    }
    expect(told.map(([, early]) => early)).toEqual([true, false]);
    const [begin = 0, end = 0] = told.map(([ms]) => ms);
    expect(begin).toBeGreaterThanOrEqual(STREAM_MS[0]);
    expect(begin).toBeLessThan(STREAM_MS[1]);
    expect(end).toBeGreaterThanOrEqual(STREAM_MS[1]);
  },
);
