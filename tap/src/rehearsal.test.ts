import { expect, test } from 'vitest';
import { rehearse } from './rehearsal.ts';
import { directionStart } from './test-direction-start.ts';

test.each([true, false])(
  'with offloads %s frames pass a rehearsal, and nothing of the node is touched',
  (hasOffload) => {
    const start = directionStart(hasOffload);
    const shared = [start.table, start.counters, start.direct.stats];
    const before = shared.map((memory) => Buffer.from(memory.slice(0)));
    expect(rehearse(start, start.direct)).toBe(true);
    expect(shared.map((memory) => Buffer.from(memory))).toEqual(before);
  },
);
